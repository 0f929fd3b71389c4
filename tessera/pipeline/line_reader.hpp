// SPDX-License-Identifier: Apache-2.0
// Lines of a file or of standard input, as UTF-8, whatever the size of the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tessera/pipeline/byte_source.hpp"
#include "tessera/pipeline/text_encoding.hpp"

namespace tessera {

/// Lines without their end (LF or CR LF; CR alone where it ends the first line of a file that has no
/// LF, or none in its first MiB). A last line without an end counts; a byte-order mark at
/// the very beginning does not.
///
/// Errors    io_error; invalid_argument for what is not of the encoding: of UTF-8, unless bytes are
///           to be replaced, the line, the offset in it, got and expected. Nothing is read behind.
class LineReader {
 public:
  /// "-" or "": stdin. Throws Error as ByteSource().
  explicit LineReader(const std::string& path, TextEncoding encoding = TextEncoding::utf8);

  /// False at the end.
  bool next(std::string& line);
  /// Whether next() would not wait for a line or the end.
  bool is_ready();

  std::size_t line_number() const noexcept { return line_number_; }  ///< of the last line, from 1
  /// How the last line ended: "\n", "\r\n", "\r", or "" at the end of the file.
  std::string_view line_end() const noexcept { return line_end_; }
  std::uint64_t bytes_read() const noexcept;
  std::uint64_t size_bytes() const noexcept { return source_.size_bytes(); }
  const std::string& path() const noexcept { return source_.path(); }
  /// "line 7", or "notes.txt: line 7".
  std::string where() const { return where(line_number_); }
  std::string where(std::size_t line_number) const;

 private:
  bool fill();
  bool turns_to_cr();
  void decode(std::string_view bytes);
  void check_is_itself() const;
  void refuse_utf32(std::string_view head) const;
  void check(std::string_view line) const;

  ByteSource source_;
  TextEncoding encoding_;
  std::unique_ptr<TextDecoder> decoder_;  // null: bytes as they are
  std::string block_;                     // what decoder_ gets
  std::string buffer_;                    // UTF-8
  std::size_t begin_ = 0;                 // the part of buffer_ that has not been handed out
  std::uint64_t bytes_ = 0;               // read from source_
  bool at_end_ = false;
  char separator_ = '\n';
  bool is_separator_known_ = false;
  std::size_t line_number_ = 0;
  std::string_view line_end_;
};

}  // namespace tessera
