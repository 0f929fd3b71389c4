// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/column_records.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "runtime/base/json_text.hpp"

namespace tessera {
namespace {

constexpr std::size_t kShownNames = 20;

// "3" as a number from 1; nullopt for a name.
std::optional<std::size_t> column_number(const std::string& column) noexcept {
  std::size_t number = 0;
  const char* const end = column.data() + column.size();
  const auto parsed = std::from_chars(column.data(), end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end || number == 0) return std::nullopt;
  return number;
}

bool is_name(const std::optional<std::string>& column) noexcept {
  return column && !column_number(*column);
}

const char* plural(std::size_t count) noexcept {
  return count == 1 ? "" : "s";
}

}  // namespace

ColumnReader::ColumnReader(LineReader& lines, char separator, ColumnOptions options)
    : rows_(lines, {.separator = separator, .has_quotes = options.has_quotes}),
      options_(std::move(options)) {}

void ColumnReader::refuse_first(const std::string& message) const {
  throw Error(ErrorCode::invalid_argument, fmt::format("{}: {}", rows_.where(), message));
}

std::optional<std::size_t> ColumnReader::find_name(const std::string& name) const {
  const auto found = std::find(row_.begin(), row_.end(), name);
  if (found == row_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - row_.begin());
}

// The index of a column that was asked for, in the first row.
std::size_t ColumnReader::find(const std::string& column) const {
  const auto number = column_number(column);
  if (number && !(options_.has_header && find_name(column))) {
    if (*number <= row_.size()) return *number - 1;
    refuse_first(fmt::format("got {} column{}, expected at least {} (--column)", row_.size(),
                             plural(row_.size()), *number));
  }
  if (const auto found = find_name(column)) return *found;
  std::vector<std::string> names(
      row_.begin(), row_.begin() + static_cast<std::ptrdiff_t>(std::min(row_.size(), kShownNames)));
  for (std::string& name : names) name = detail::plain_or_quoted(name);
  refuse_first(
      fmt::format("got no column \"{}\", expected one of {}", column, fmt::join(names, ", ")));
}

// Reads the first row. True if it is a record itself, false if it is a header.
bool ColumnReader::take_row() {
  try {
    return rows_.next(row_);
  } catch (const BadRecord& error) {
    if (width_ != 0) throw;
    throw Error(error.code(), error.what());
  }
}

bool ColumnReader::choose_columns() {
  width_ = row_.size();
  const bool names_text = !options_.text && find_name(options_.text_name).has_value();
  const bool has_header = options_.has_header || is_name(options_.text) || is_name(options_.pair) ||
                          is_name(options_.id) || names_text;
  if (names_text) {
    text_ = find(options_.text_name);
    if (!options_.pair) pair_ = find_name(options_.pair_name);
  } else if (options_.text) {
    text_ = find(*options_.text);
  } else if (options_.last_by_default) {
    text_ = width_ - 1;
  } else if (width_ != 1) {
    refuse_first(
        fmt::format("got {} columns and none that is called \"{}\", expected --column NAME or N",
                    width_, options_.text_name));
  }
  if (options_.pair) pair_ = find(*options_.pair);
  if (options_.id) {
    id_ = find(*options_.id);
  } else if (has_header) {
    id_ = find_name("id");
  }
  return !has_header;
}

bool ColumnReader::convert(ColumnRecord& record) {
  if (row_.empty()) return false;
  if (width_ == 0 && !choose_columns()) return false;
  if (row_.size() != width_) {
    throw BadRecord(fmt::format("{}: got {} field{}, expected {} as in the first row",
                                rows_.where(), row_.size(), plural(row_.size()), width_));
  }
  record.where = rows_.where();
  if (id_) record.id = row_[*id_];
  if (pair_) record.pair = row_[*pair_];
  record.line = rows_.row_line();
  record.text = std::move(row_[text_]);
  record.others = std::move(row_);
  record.others.erase(record.others.begin() + static_cast<std::ptrdiff_t>(text_));
  return true;
}

}  // namespace tessera
