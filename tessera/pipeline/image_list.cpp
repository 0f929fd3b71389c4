// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/image_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <system_error>

#include "models/image/decode.hpp"
#include "runtime/base/error.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

// An empty file may have been meant as one.
bool may_be_an_image(const fs::path& file) {
  std::error_code error;
  return begins_as_image(file) || (fs::file_size(file, error) == 0 && !error);
}

void walk(const fs::path& folder, const ImageListOptions& options, ImageList& list) {
  std::error_code error;
  std::vector<fs::path> entries;
  fs::directory_iterator at(folder, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    entries.push_back(at->path());
  }
  if (error) {
    ++list.unreadable;
    options.unreadable(fmt::format("{}: {}, expected a directory that can be read", folder.string(),
                                   error.message()));
  }
  std::sort(entries.begin(), entries.end());
  for (const fs::path& entry : entries) {
    if (fs::is_directory(fs::symlink_status(entry, error))) {
      walk(entry, options, list);
    } else if (options.skips_others && fs::is_regular_file(entry, error) &&
               !may_be_an_image(entry)) {
      options.skipped(fmt::format("{}: no image of a known type, skipped", entry.string()));
    } else {
      list.paths.push_back(entry);
    }
  }
}

}  // namespace

std::vector<std::string> ImageList::names() const {
  std::vector<std::string> names;
  for (const std::filesystem::path& path : paths) names.push_back(path.string());
  return names;
}

bool begins_as_image(const fs::path& file) {
  std::array<std::uint8_t, image::kImageHead> head{};
  std::ifstream in(file, std::ios::binary);
  in.read(reinterpret_cast<char*>(head.data()), head.size());
  return image::is_image(std::span(head).first(static_cast<std::size_t>(in.gcount())));
}

ImageList list_images(std::span<const std::string> names, const ImageListOptions& options) {
  ImageList list;
  for (const std::string& name : names) {
    std::error_code ignored;
    if (!fs::is_directory(name, ignored)) {
      list.paths.emplace_back(name);
      continue;
    }
    const std::size_t before = list.paths.size() + list.unreadable;
    walk(name, options, list);
    if (list.paths.size() + list.unreadable == before) {
      throw Error(
          ErrorCode::not_found,
          fmt::format("{}: got a directory without {}, expected at least one", name,
                      options.skips_others ? "JPEG, PNG, WebP, GIF, BMP or TIFF images" : "files"));
    }
  }
  return list;
}

}  // namespace tessera
