// SPDX-License-Identifier: Apache-2.0
// Comma- or tab-separated values, RFC 4180, strictly:
//
//   row   = field *(separator field) (LF | CR LF | end)
//   field = text without separator, line end and quote
//         | '"' *(text | separator | line end | '""') '"'        '""' is a quote
//
// A quoted field keeps the line ends within it as they are.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/line_reader.hpp"

namespace tessera {

/// What cannot be read as a record or a row, while what comes behind it can. The message begins
/// with the line.
class BadRecord : public Error {
 public:
  explicit BadRecord(const std::string& message) : Error(ErrorCode::invalid_argument, message) {}
};

struct CsvFormat {
  char separator = ',';
  bool has_quotes = true;  ///< false: a quote is a character like others, and a row is a line
};

class CsvReader {
 public:
  /// `lines` must outlive it. Lines may be taken from it between rows.
  CsvReader(LineReader& lines, CsvFormat format) : lines_(lines), format_(format) {}

  /// The fields of the next row, of which an empty line has none; false at the end. Throws
  /// BadRecord naming the line, the field, got and expected; the next row begins on the next line.
  bool next(std::vector<std::string>& row);

  std::size_t row_line() const noexcept { return row_line_; }  ///< where the last row begins
  std::string where() const { return lines_.where(row_line_); }

 private:
  bool take_line();
  void read_quoted(std::string& field, std::size_t number);
  void read_plain(std::string& field, std::size_t number);
  [[noreturn]] void refuse(std::size_t field, const std::string& message) const;

  LineReader& lines_;
  CsvFormat format_;
  std::string line_;
  std::size_t at_ = 0;  // in line_
  std::size_t row_line_ = 0;
};

}  // namespace tessera
