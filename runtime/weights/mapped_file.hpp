// SPDX-License-Identifier: Apache-2.0
// A read-only file in memory: mapped, never copied, its size fixed when it is opened.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace tessera {

/// Owns one read-only private mapping of a regular file; moves, does not copy.
///
/// Memory    the pages belong to the kernel's page cache and are read on first touch.
/// Limits    a file that someone cuts while it is mapped makes reads of the lost pages fail with
///           SIGBUS, as with every mapped file: replace files by rename(), as
///           write_safetensors() does, never in place.
/// Errors    not_found; invalid_argument (no regular file); io_error with the system's words.
class MappedFile {
 public:
  static MappedFile open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  /// The whole file; empty for a file of length 0. The first byte is page-aligned.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, std::size_t size) noexcept : data_(data), size_(size) {}

  const std::byte* data_;
  std::size_t size_;
};

}  // namespace tessera
