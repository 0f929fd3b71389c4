// SPDX-License-Identifier: Apache-2.0
#include "models/hub_cache.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* const value =
      std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it here
  return value == nullptr ? "" : value;
}

fs::path cache_directory() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string cache = variable(name); !cache.empty()) return cache;
  }
  if (const std::string home = variable("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  const std::string cache = variable("XDG_CACHE_HOME");
  const fs::path base = cache.empty() ? fs::path(variable("HOME")) / ".cache" : fs::path(cache);
  return base / "huggingface" / "hub";
}

/// "org/name" or "name", as the hub allows them; a path of the file system otherwise.
bool is_name(const std::string& model) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/';
  };
  return !model.empty() && std::all_of(model.begin(), model.end(), is_plain) &&
         std::count(model.begin(), model.end(), '/') <= 1 && model.front() != '.' &&
         model.front() != '/' && model.back() != '/' && model.find("..") == std::string::npos;
}

std::string folder_of(const std::string& model) {
  std::string folder = "models--";
  for (const char c : model) folder += c == '/' ? "--" : std::string(1, c);
  return folder;
}

std::string first_line(const fs::path& file) {
  const std::string text = read_file(file);
  return text.substr(0, text.find_first_of("\r\n \t"));
}

bool is_cache_folder(const fs::path& directory) {
  return directory_exists(directory / "snapshots") && !path_exists(directory / "config.json");
}

fs::path snapshot_of(const fs::path& folder) {
  const fs::path main = folder / "refs" / "main";
  if (file_exists(main)) {
    const std::string commit = first_line(main);
    const bool is_plain =
        !commit.empty() && commit.find('/') == std::string::npos && commit != "..";
    if (is_plain && directory_exists(folder / "snapshots" / commit)) {
      return folder / "snapshots" / commit;
    }
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: got \"{}\", expected the name of a directory in {}", main.string(),
                            commit.substr(0, 60), (folder / "snapshots").string()));
  }
  std::vector<std::string> snapshots;
  std::error_code error;
  fs::directory_iterator entry(folder / "snapshots", error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (directory_exists(entry->path())) snapshots.push_back(entry->path().filename().string());
  }
  if (error) {
    throw Error(ErrorCode::io_error, fmt::format("{}: cannot list: {}, expected a directory",
                                                 (folder / "snapshots").string(), error.message()));
  }
  if (snapshots.size() == 1) return folder / "snapshots" / snapshots.front();
  std::sort(snapshots.begin(), snapshots.end());
  throw Error(ErrorCode::not_found,
              fmt::format("{}: no refs/main says which of its {} snapshots to take ({}), expected "
                          "the directory of one of them",
                          folder.string(), snapshots.size(), fmt::join(snapshots, ", ")));
}

}  // namespace

fs::path find_model(const fs::path& model) {
  if (directory_exists(model)) return is_cache_folder(model) ? snapshot_of(model) : model;
  if (path_exists(model)) {
    throw Error(ErrorCode::not_found, fmt::format("{}: not a directory, expected the directory of "
                                                  "a checkpoint",
                                                  model.string()));
  }
  std::string also;
  if (is_name(model.string())) {
    const fs::path folder = cache_directory() / folder_of(model.string());
    if (directory_exists(folder)) return snapshot_of(folder);
    also = fmt::format(" (nor is there {}; nothing is downloaded)", folder.string());
  }
  throw Error(ErrorCode::not_found,
              fmt::format("{}: no such directory, expected the directory of a checkpoint{}",
                          model.string(), also));
}

}  // namespace tessera::models
