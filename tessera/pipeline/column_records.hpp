// SPDX-License-Identifier: Apache-2.0
// From the rows of a table to texts, pairs and ids, by the names of its columns.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tessera/pipeline/csv_reader.hpp"

namespace tessera {

/// Which columns are read: a name in the header, or a number from 1.
struct ColumnOptions {
  std::optional<std::string> text;  ///< nullopt: the only one, or the one whose name is `text_name`
  std::optional<std::string>
      pair;                       ///< nullopt: none; `pair_name` where `text` is chosen by its name
  std::optional<std::string> id;  ///< nullopt: "id" where the header has it
  std::string text_name = "text", pair_name = "pair";
  bool last_by_default = false;  ///< where `text` finds none: the last column, not an error
  bool has_header = false;       ///< implied by a name above, and by `text_name` in the first row
  bool has_quotes = true;
};

/// What one row says.
struct ColumnRecord {
  std::string where, text;
  std::size_t line = 0;  ///< where the row begins
  std::optional<std::string> pair, id;
  std::vector<std::string> others;  ///< all fields but that of `text`
};

class ColumnReader {
 public:
  /// `lines` must outlive it.
  ColumnReader(LineReader& lines, char separator, ColumnOptions options);

  /// False where there is nothing to tell: an empty line, or the header. Throws BadRecord for a row
  /// with more or fewer fields than the first; Error{invalid_argument} for a first row without the
  /// columns that are asked for.
  bool convert(ColumnRecord& record);
  /// Takes the next row; false at the end. Throws BadRecord, and Error for the first row, without
  /// which the others mean nothing.
  bool take_row();

 private:
  bool choose_columns();
  std::size_t find(const std::string& column) const;
  std::optional<std::size_t> find_name(const std::string& name) const;
  [[noreturn]] void refuse_first(const std::string& message) const;

  CsvReader rows_;
  ColumnOptions options_;
  std::vector<std::string> row_;
  std::size_t width_ = 0;  // fields of the first row; 0: it has not been read
  std::size_t text_ = 0;
  std::optional<std::size_t> pair_, id_;
};

}  // namespace tessera
