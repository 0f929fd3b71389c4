// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/replaced_file.hpp"

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

namespace tessera {

ReplacedFile::ReplacedFile(std::filesystem::path target) : target_(std::move(target)) {
  struct stat status {};
  const bool exists = ::stat(target_.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    throw Error(
        ErrorCode::io_error,
        fmt::format("{}: is no regular file, expected one to replace, or none", target_.string()));
  }
  if (exists) {  // a link is followed, so that its target is replaced and the link stays
    std::error_code error;
    const std::filesystem::path followed = std::filesystem::canonical(target_, error);
    if (!error) target_ = followed;
  }
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 100 && fd_ < 0; ++attempt) {  // leftovers of a dead process
    path_ = target_;
    path_ += fmt::format(".tmp-{}-{}", ::getpid(), counter.fetch_add(1));
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST) break;
  }
  if (fd_ < 0) fail("create a file for writing", errno);
  // A file system without modes may refuse: harmless.
  if (exists) static_cast<void>(::fchmod(fd_, status.st_mode & 07777));
}

ReplacedFile::~ReplacedFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!committed_) ::unlink(path_.c_str());
}

void ReplacedFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("write", written < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void ReplacedFile::commit() {
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail("close", errno);  // a quota or a network disk may refuse only here
  if (std::rename(path_.c_str(), target_.c_str()) != 0) fail("rename into place", errno);
  committed_ = true;
}

void ReplacedFile::fail(const char* what, int error) const {
  throw Error(ErrorCode::io_error, fmt::format("{}: cannot {}: {}", target_.string(), what,
                                               std::generic_category().message(error)));
}

void replace_file(const std::filesystem::path& target, std::string_view content) {
  ReplacedFile file(target);
  file.write(std::as_bytes(std::span(content)));
  file.commit();
}

}  // namespace tessera
