// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

#include "runtime/error.hpp"

namespace tessera {
namespace {

[[noreturn]] void throw_errno(const std::filesystem::path& path, const char* what, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  throw Error(missing ? ErrorCode::not_found : ErrorCode::io_error,
              fmt::format("{}: cannot {}: {}, expected a readable file", path.string(), what,
                          std::generic_category().message(error)));
}

/// Closes the descriptor on every way out; a mapping outlives it.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(fd_); }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

MappedFile MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: a FIFO without a writer would otherwise block here for ever.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw_errno(path, "open", errno);
  const Descriptor descriptor(fd);
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) throw_errno(path, "stat", errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got a {}, expected a regular file", path.string(),
                            S_ISDIR(status.st_mode) ? "directory" : "special file"));
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size == 0) return {nullptr, 0};  // mmap refuses a length of 0
  void* data =
      ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, descriptor.get(), 0);
  if (data == MAP_FAILED) throw_errno(path, "map", errno);
  return {static_cast<const std::byte*>(data), static_cast<std::size_t>(size)};
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace tessera
