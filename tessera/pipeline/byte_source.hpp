// SPDX-License-Identifier: Apache-2.0
// Bytes of a file or of standard input, as they come.
#pragma once

#include <cstdint>
#include <string>

namespace tessera {

class ByteSource {
 public:
  /// "-" or "": stdin. Throws Error: not_found, io_error, invalid_argument (a directory).
  explicit ByteSource(const std::string& path);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  /// Appends one block to `buffer`; false at the end. Throws Error{io_error}.
  bool read(std::string& buffer);
  /// read() would not wait: there are bytes, the end, or an error.
  bool is_ready() const noexcept;

  const std::string& path() const noexcept { return path_; }  ///< empty for stdin
  /// As messages call it.
  std::string name() const { return path_.empty() ? "stdin" : path_; }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }  ///< 0 if unknown (a pipe)

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_bytes_ = 0;
};

/// Throws what ByteSource(path) would, without opening the file.
void check_readable(const std::string& path);

}  // namespace tessera
