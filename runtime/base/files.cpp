// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "memory:";

struct Registry {
  std::mutex mutex;
  std::vector<const MemoryFiles*> directories;
  std::uint64_t next = 1;
};

Registry& registry() {
  static auto* const instance = new Registry;  // outlives every thread that may still read
  return *instance;
}

void check_name(const std::string& name) {
  const fs::path path(name);
  const bool leads_out = path.is_absolute() || (!path.empty() && *path.begin() == "..");
  if (!name.empty() && !leads_out && name.find('\0') == std::string::npos && path.has_filename() &&
      path.lexically_normal().native() == name && name != ".") {
    return;
  }
  throw Error(ErrorCode::invalid_argument,
              fmt::format("files in memory: got the name \"{}\", expected one such as "
                          "\"config.json\" or \"1_Pooling/config.json\"",
                          name));
}

/// Calls `f(files, rest)` for the directory in memory that `path` leads into; "" is the directory
/// itself.
template <class Result, class F>
Result in_memory(const fs::path& path, Result otherwise, F&& f) {
  if (!path.native().starts_with(kPrefix)) return otherwise;
  std::string name = path.lexically_normal().native();
  if (name.ends_with('/')) name.pop_back();
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  for (const MemoryFiles* directory : known.directories) {
    const std::string& root = directory->directory().native();
    if (name == root) return f(directory->files(), std::string_view{});
    if (name.starts_with(root) && name[root.size()] == '/') {
      return f(directory->files(), std::string_view(name).substr(root.size() + 1));
    }
  }
  return otherwise;
}

}  // namespace

MemoryFiles::MemoryFiles(Map files) : files_(std::move(files)) {
  for (const auto& [name, bytes] : files_) check_name(name);
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  directory_ = fmt::format("{}{}", kPrefix, known.next++);
  known.directories.push_back(this);
}

MemoryFiles::~MemoryFiles() {
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  std::erase(known.directories, this);
}

std::optional<std::span<const std::byte>> find_in_memory(const fs::path& path) {
  using Found = std::optional<std::span<const std::byte>>;
  return in_memory(path, Found{}, [](const MemoryFiles::Map& files, std::string_view name) {
    const auto found = files.find(name);
    return found == files.end() ? Found{} : Found{found->second};
  });
}

bool file_exists(const fs::path& path) {
  std::error_code ignored;
  return find_in_memory(path).has_value() || fs::is_regular_file(path, ignored);
}

bool directory_exists(const fs::path& path) {
  const auto holds = [](const MemoryFiles::Map& files, std::string_view name) {
    if (name.empty()) return true;
    const auto below = files.lower_bound(std::string(name) + "/");
    return below != files.end() && below->first.starts_with(std::string(name) + "/");
  };
  std::error_code ignored;
  return in_memory(path, false, holds) || fs::is_directory(path, ignored);
}

bool path_exists(const fs::path& path) {
  std::error_code ignored;
  return directory_exists(path) || file_exists(path) || fs::exists(path, ignored);
}

}  // namespace tessera
