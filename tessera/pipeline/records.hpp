// SPDX-License-Identifier: Apache-2.0
// Records of one file or of standard input, one at a time, whatever the size of the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/pipeline/column_records.hpp"
#include "tessera/pipeline/json_lines.hpp"
#include "tessera/pipeline/line_reader.hpp"

namespace tessera {

enum class LineFormat : std::uint8_t {
  text,   ///< a line is a text
  pairs,  ///< text, tab, pair
  jsonl,  ///< {"text": …, "pair": …}; lines of blanks are none
  ids,    ///< token ids between blanks or commas, or {"ids": […], "type_ids": […]}
  csv,    ///< comma-separated values: columns of texts
  tsv,    ///< the same with tabs
};

/// One input: a text, a pair of texts, or token ids.
struct Record {
  std::string where;  ///< for messages: "line 7"
  std::string text;
  std::optional<std::string> pair;
  std::vector<std::int32_t> ids, type_ids;  ///< LineFormat::ids only; type_ids may be empty: all 0
  std::string id = {};                      ///< the user's own, as JSON; empty if there is none
  std::size_t line = 0;                     ///< its number, from 1
  std::vector<std::string> columns = {};    ///< of a table: the fields that are not the text
};

struct RecordOptions {
  LineFormat format = LineFormat::text;
  TextEncoding encoding = TextEncoding::utf8;
  JsonKeys keys = {};
  ColumnOptions columns = {};
};

enum class ReadState : std::uint8_t {
  record,  ///< there it is
  waits,   ///< whoever writes the input has not written the next one yet
  end,
};

class RecordReader {
 public:
  RecordReader(const std::string& path, RecordOptions options);
  RecordReader(const std::string& path, LineFormat format)
      : RecordReader(path, RecordOptions{.format = format}) {}

  /// Without `may_wait` it comes back with ReadState::waits instead of waiting for a line.
  /// Throws BadRecord naming the line, what was found and what expected: the next call goes on
  /// behind it. Throws Error for what ends the input: not the encoding, not lines of JSON.
  ReadState read(Record& record, bool may_wait);
  /// read() that waits; false at the end.
  bool next(Record& record) { return read(record, true) == ReadState::record; }

  const LineReader& lines() const noexcept { return lines_; }

 private:
  bool is_blank() const noexcept;
  void parse_line(Record& record);
  void check_first_json_line() const;
  bool convert_row(Record& record);

  LineReader lines_;
  LineFormat format_;
  JsonLineParser json_;
  ColumnReader columns_;
  std::string line_;
  bool has_json_ = false;  // a line of JSON has been seen
};

/// "101 2023 102" or "101,2023,102" as numbers. Throws Error{invalid_argument}.
std::vector<std::int32_t> parse_ids(std::string_view line);

/// jsonl for a path that ends in ".jsonl", ".ndjson" or ".json", csv for ".csv", tsv for ".tsv",
/// else text; letters count without their case.
LineFormat format_of(const std::string& path);

}  // namespace tessera
