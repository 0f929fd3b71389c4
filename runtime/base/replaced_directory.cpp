// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/replaced_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// Without a slash at its end, which would be a name without letters.
fs::path followed(fs::path target) {
  if (target.filename().empty()) target = target.parent_path();
  std::error_code error;
  const fs::path real = fs::canonical(target, error);
  return error ? target : real;
}

bool is_there_with_content(const fs::path& directory) {
  if (!path_exists(directory)) return false;
  std::error_code error;
  return !directory_exists(directory) || !fs::is_empty(directory, error) || error;
}

}  // namespace

void require_replaceable(const fs::path& out, bool replaces) {
  const fs::path target = followed(out);
  if (is_there_with_content(target) && !(replaces && directory_exists(target))) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: is {}, expected no such directory, or an empty one{}", target.string(),
                    directory_exists(target) ? "there, with files" : "no directory",
                    directory_exists(target) ? ", or to be asked to replace it" : ""));
  }
  const fs::path parent = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (::access(parent.c_str(), W_OK | X_OK) != 0) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: cannot create a directory beside it: {}", target.string(),
                            std::generic_category().message(errno)));
  }
}

ReplacedDirectory::ReplacedDirectory(fs::path target, bool replaces)
    : target_(followed(std::move(target))) {
  require_replaceable(target_, replaces);
  static std::atomic<unsigned> counter{0};
  bool is_made = false;
  for (int attempt = 0; attempt < 100 && !is_made; ++attempt) {  // leftovers of a dead process
    path_ = target_;
    path_ += fmt::format(".tmp-{}-{}", ::getpid(), counter.fetch_add(1));
    is_made = ::mkdir(path_.c_str(), 0777) == 0;
    if (!is_made && errno != EEXIST) break;
  }
  if (!is_made) {
    const int error = errno;
    committed_ = true;  // nothing to remove
    fail("create a directory beside it", error);
  }
}

ReplacedDirectory::~ReplacedDirectory() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(path_, ignored);
}

void ReplacedDirectory::commit() {
  std::error_code ignored;
  if (!is_there_with_content(target_)) {
    if (std::rename(path_.c_str(), target_.c_str()) != 0) fail("rename into place", errno);
    committed_ = true;
    return;
  }
  // Both names at once; a file system that cannot do it has a moment without the target.
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0) {
    committed_ = true;
    fs::remove_all(path_, ignored);
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) fail("rename into place", errno);
  fs::path old = path_;
  old += ".old";
  if (std::rename(target_.c_str(), old.c_str()) != 0) fail("rename what is there", errno);
  if (std::rename(path_.c_str(), target_.c_str()) != 0) {
    const int error = errno;
    static_cast<void>(std::rename(old.c_str(), target_.c_str()));
    fail("rename into place", error);
  }
  committed_ = true;
  fs::remove_all(old, ignored);
}

void ReplacedDirectory::fail(const char* what, int error) const {
  throw Error(ErrorCode::io_error, fmt::format("{}: cannot {}: {}", target_.string(), what,
                                               std::generic_category().message(error)));
}

}  // namespace tessera
