// SPDX-License-Identifier: Apache-2.0
// A read-only file in memory: mapped, never copied, its size fixed when it is opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

namespace tessera {

/// What the system says about a file; differs after every change, but for two within the clock's
/// grain (some milliseconds).
struct FileStamp {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified_ns = 0, changed_ns = 0;  ///< mtime; ctime, which no program can set

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// Owns one read-only private mapping of a regular file; moves, does not copy. Of a file that the
/// caller holds in memory (runtime/base/files.hpp) it owns nothing: those bytes are seen where they are.
///
/// Memory    the pages belong to the kernel's page cache and are read on first touch. Where the file
///           system cannot map, the file is read into memory of the process.
/// Limits    a file that someone cuts while it is mapped makes reads of the lost pages fail with
///           SIGBUS, as with every mapped file: replace files by rename(), as
///           write_safetensors() does, never in place. read() has no such limit; check_unchanged()
///           before touching bytes() finds what happened earlier, not what happens meanwhile.
/// Errors    not_found; invalid_argument (no regular file); io_error with the system's words.
class MappedFile {
 public:
  static MappedFile open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  /// The whole file; empty for a file of length 0. The first byte is page-aligned, or where the
  /// caller has it.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

  /// Copies `part` of bytes() to `to` through read(): a file that was cut, or a device that fails, is
  /// an Error where touching the pages would be SIGBUS. Memory that is no part of bytes() is copied.
  ///
  /// Errors    corrupt_file (the file is shorter now), io_error with the system's words
  void read(std::span<const std::byte> part, std::byte* to) const;

  /// When it was opened.
  const FileStamp& stamp() const noexcept { return stamp_; }
  /// Throws Error{corrupt_file} if the file's size or time of modification is another than when it
  /// was opened; a rename or a removal is no change. Of the caller's memory a sample is compared, after
  /// the system was asked whether it is still mapped: Error{invalid_argument} where the caller freed
  /// it in a way that shows. What was freed and not used for anything else does not show.
  void check_unchanged() const;

 private:
  MappedFile(std::filesystem::path path, int fd, const FileStamp& stamp) noexcept
      : path_(std::move(path)), fd_(fd), stamp_(stamp) {}

  std::filesystem::path path_;
  int fd_ = -1;  // kept for check_unchanged(); -1: the caller's memory
  FileStamp stamp_;
  std::uint64_t sample_ = 0;  // of the caller's memory
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// What a reader of a format gets: bytes to copy, of a file or of memory, and where they are, which it
/// may say but not touch.
class FileBytes {
 public:
  FileBytes(const MappedFile& file) noexcept  // NOLINT(google-explicit-constructor)
      : bytes_(file.bytes()), file_(&file) {}
  FileBytes(std::span<const std::byte> memory) noexcept  // NOLINT(google-explicit-constructor)
      : bytes_(memory) {}

  std::size_t size() const noexcept { return bytes_.size(); }
  std::span<const std::byte> where() const noexcept { return bytes_; }
  /// The `count` bytes from `at` on, copied. Precondition: they are in it. Errors: MappedFile::read().
  std::vector<std::byte> copy(std::size_t at, std::size_t count) const;
  void read(std::size_t at, std::span<std::byte> to) const;

 private:
  std::span<const std::byte> bytes_;
  const MappedFile* file_ = nullptr;
};

}  // namespace tessera
