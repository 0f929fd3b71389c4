// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/host_memory.hpp"
#include "runtime/weights/content_hash.hpp"

namespace tessera {
namespace {

[[noreturn]] void throw_errno(const std::filesystem::path& path, const char* what, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  throw Error(missing ? ErrorCode::not_found : ErrorCode::io_error,
              fmt::format("{}: cannot {}: {}, expected a readable file", path.string(), what,
                          std::generic_category().message(error)));
}

[[noreturn]] void throw_lost(const std::filesystem::path& path, std::size_t size) {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: the memory of this file was freed, written to or made unreadable, "
                          "expected its {} bytes as they were until model and sessions are closed "
                          "(copy_tables needs them until the weights are packed)",
                          path.string(), size));
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStamp stamp_of(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

/// Of 16 pieces of 64 bytes, the first and the last among them; nothing if one cannot be read.
std::optional<std::uint64_t> sample_of(std::span<const std::byte> bytes) {
  constexpr std::size_t kPieces = 16, kPiece = 64;
  if (bytes.size() <= kPieces * kPiece) {
    return is_readable(bytes) ? std::optional(content_hash(bytes)) : std::nullopt;
  }
  ContentHash hash;
  for (std::size_t i = 0; i <= kPieces; ++i) {
    const auto piece = i < kPieces
                           ? bytes.subspan((bytes.size() - kPiece) / (kPieces - 1) * i, kPiece)
                           : bytes.last(kPiece);
    if (!is_readable(piece)) return std::nullopt;
    hash.update(piece);
  }
  return hash.value();
}

}  // namespace

MappedFile MappedFile::open(const std::filesystem::path& path) {
  if (const auto bytes = find_in_memory(path)) {
    // Nobody says when memory was changed: a stamp in the future proves nothing.
    MappedFile file(path, -1, {.size = bytes->size(), .changed_ns = std::int64_t{1} << 62});
    file.data_ = bytes->data();
    file.size_ = bytes->size();
    const auto sample = sample_of(*bytes);
    if (!sample) throw_lost(path, bytes->size());
    file.sample_ = *sample;
    return file;
  }
  // O_NONBLOCK: a FIFO without a writer would otherwise block here for ever.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw_errno(path, "open", errno);
  MappedFile file(path, fd, {});  // closes it on every way out
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw_errno(path, "stat", errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got a {}, expected a regular file", path.string(),
                            S_ISDIR(status.st_mode) ? "directory" : "special file"));
  }
  file.stamp_ = stamp_of(status);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return file;  // mmap refuses a length of 0
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  const int refused = data == MAP_FAILED ? errno : 0;
  if (refused == ENODEV) {  // no file system that can map
    data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (data == MAP_FAILED) throw_errno(path, "map", errno);
  file.data_ = static_cast<const std::byte*>(data);
  file.size_ = size;
  if (refused == ENODEV) file.read(file.bytes(), static_cast<std::byte*>(data));
  return file;
}

void MappedFile::read(std::span<const std::byte> part, std::byte* to) const {
  const auto base = reinterpret_cast<std::uintptr_t>(data_),
             first = reinterpret_cast<std::uintptr_t>(part.data());
  if (first < base || first - base > size_ || part.size() > size_ - (first - base)) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    return;
  }
  if (fd_ < 0) {  // the caller's memory
    if (!is_readable(part)) throw_lost(path_, size_);
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    return;
  }
  for (std::size_t done = 0; done < part.size();) {
    constexpr std::size_t kMost = std::size_t{1} << 30;  // Linux reads no more than 2 GiB at once
    const std::size_t at = first - base + done;
    const ssize_t got =
        ::pread(fd_, to + done, std::min(part.size() - done, kMost), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(path_, "read", errno);
    if (got == 0) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}: changed while it is read: it ends at byte {} now, expected {} "
                              "bytes as when it was opened",
                              path_.string(), at, stamp_.size));
    }
    done += static_cast<std::size_t>(got);
  }
}

void MappedFile::check_unchanged() const {
  if (fd_ < 0) {  // the caller's memory
    if (size_ > 0 && (!is_mapped(bytes()) || sample_of(bytes()) != sample_)) {
      throw_lost(path_, size_);
    }
    return;
  }
  struct stat status {};
  if (::fstat(fd_, &status) != 0) throw_errno(path_, "stat", errno);
  const FileStamp now = stamp_of(status);
  if (now.size == stamp_.size && now.modified_ns == stamp_.modified_ns) return;
  throw Error(ErrorCode::corrupt_file,
              fmt::format("{}: changed while it is in use: {} bytes, expected {} bytes as when it "
                          "was opened and no write since (load the model again, or copy_tables)",
                          path_.string(), now.size, stamp_.size));
}

std::vector<std::byte> FileBytes::copy(std::size_t at, std::size_t count) const {
  std::vector<std::byte> result(count);
  read(at, result);
  return result;
}

void FileBytes::read(std::size_t at, std::span<std::byte> to) const {
  if (to.empty()) return;
  const std::span<const std::byte> part = bytes_.subspan(at, to.size());
  if (file_ != nullptr) return file_->read(part, to.data());
  std::memcpy(to.data(), part.data(), part.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      stamp_(other.stamp_),
      sample_(other.sample_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(stamp_, other.stamp_);
  std::swap(sample_, other.sample_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (fd_ >= 0 && data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace tessera
