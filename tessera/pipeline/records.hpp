// SPDX-License-Identifier: Apache-2.0
// Lines of text or JSON from a file or stdin, one record at a time, whatever the size of the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/pipeline/json_lines.hpp"

namespace tessera {

/// Lines without their end (LF or CR LF). A last line without an end counts; a byte-order mark at
/// the very beginning does not.
class LineReader {
 public:
  /// "-" or "": stdin. Throws Error: not_found, io_error, invalid_argument (a directory).
  explicit LineReader(const std::string& path);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// False at the end. Throws Error{io_error}.
  bool next(std::string& line);

  std::size_t line_number() const noexcept { return line_number_; }  ///< of the last line, from 1
  std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }  ///< 0 if unknown (a pipe)
  /// "line 7", or "notes.txt: line 7".
  std::string where() const;

 private:
  bool fill();

  std::string name_;  // empty for stdin
  int descriptor_ = -1;
  std::string buffer_;
  std::size_t begin_ = 0;  // the part of buffer_ that has not been handed out
  bool at_end_ = false;
  std::size_t line_number_ = 0;
  std::uint64_t bytes_read_ = 0, size_bytes_ = 0;
};

enum class LineFormat : std::uint8_t {
  text,   ///< a line is a text
  pairs,  ///< text, tab, pair
  jsonl,  ///< {"text": …, "pair": …}
  ids,    ///< token ids between blanks or commas, or {"ids": […], "type_ids": […]}
};

/// One input: a text, a pair of texts, or token ids.
struct Record {
  std::string where;  ///< for messages: "line 7"
  std::string text;
  std::optional<std::string> pair;
  std::vector<std::int32_t> ids, type_ids;  ///< LineFormat::ids only; type_ids may be empty: all 0
};

class RecordReader {
 public:
  RecordReader(const std::string& path, LineFormat format) : lines_(path), format_(format) {}

  /// False at the end. Throws Error{invalid_argument} naming the line, what was found and what
  /// expected.
  bool next(Record& record);
  /// Skips a line; false at the end.
  bool skip_line() { return lines_.next(line_); }
  /// Up to `count` records; fewer at the end.
  std::vector<Record> next_window(std::size_t count);

  const LineReader& lines() const noexcept { return lines_; }

 private:
  LineReader lines_;
  LineFormat format_;
  JsonLineParser json_;
  std::string line_;
};

/// "101 2023 102" or "101,2023,102" as numbers. Throws Error{invalid_argument}.
std::vector<std::int32_t> parse_ids(std::string_view line);

/// jsonl for a path that ends in ".jsonl" or ".ndjson", else text.
LineFormat format_of(const std::string& path);

}  // namespace tessera
