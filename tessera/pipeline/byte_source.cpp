// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/byte_source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 16;

bool names_stdin(const std::string& path) {
  return path.empty() || path == "-";
}

[[noreturn]] void cannot_open(const std::string& path, int reason) {
  throw Error(reason == ENOENT ? ErrorCode::not_found : ErrorCode::io_error,
              fmt::format("{}: cannot open for reading: {}", path, std::strerror(reason)));
}

[[noreturn]] void refuse_directory(const std::string& name) {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: is a directory, expected a file", name));
}

}  // namespace

ByteSource::ByteSource(const std::string& path) {
  if (names_stdin(path)) {
    descriptor_ = STDIN_FILENO;
  } else {
    path_ = path;
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) cannot_open(path, errno);
  }
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return;
  if (S_ISDIR(status.st_mode)) {
    if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
    refuse_directory(name());
  }
  if (S_ISREG(status.st_mode)) size_bytes_ = static_cast<std::uint64_t>(status.st_size);
}

ByteSource::~ByteSource() {
  if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
}

bool ByteSource::read(std::string& buffer) {
  const std::size_t used = buffer.size();
  buffer.resize(used + kReadBytes);
  ssize_t count = 0;
  do {
    count = ::read(descriptor_, buffer.data() + used, kReadBytes);
  } while (count < 0 && errno == EINTR);
  const int reason = errno;
  buffer.resize(used + static_cast<std::size_t>(count < 0 ? 0 : count));
  if (count < 0) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: cannot read: {}", name(), std::strerror(reason)));
  }
  return count > 0;
}

bool ByteSource::is_ready() const noexcept {
  pollfd asked{.fd = descriptor_, .events = POLLIN, .revents = 0};
  int count = 0;
  do {
    count = ::poll(&asked, 1, 0);
  } while (count < 0 && errno == EINTR);
  return count != 0;  // what poll() cannot say, read() will
}

void check_readable(const std::string& path) {
  if (names_stdin(path)) return;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) cannot_open(path, errno);
  if (S_ISDIR(status.st_mode)) refuse_directory(path);
  if (::access(path.c_str(), R_OK) != 0) cannot_open(path, errno);
}

}  // namespace tessera
