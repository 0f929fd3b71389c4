// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/csv_reader.hpp"

#include <fmt/format.h>

namespace tessera {

void CsvReader::refuse(std::size_t field, const std::string& message) const {
  throw BadRecord(fmt::format("{}: field {}: {}", where(), field, message));
}

bool CsvReader::take_line() {
  at_ = 0;
  return lines_.next(line_);
}

// Behind the opening quote; afterwards behind the closing one.
void CsvReader::read_quoted(std::string& field, std::size_t number) {
  while (true) {
    const std::size_t quote = line_.find('"', at_);
    field.append(line_, at_, quote - at_);
    if (quote == std::string::npos) {
      field += lines_.line_end();
      if (!take_line())
        refuse(number, fmt::format("got an opening quote and no other up to line {}, the end, "
                                   "expected a closing quote (--no-quotes: quotes mean nothing)",
                                   lines_.line_number()));
      continue;
    }
    at_ = quote + 1;
    if (at_ == line_.size() || line_[at_] != '"') return;
    field += '"';
    ++at_;
  }
}

void CsvReader::read_plain(std::string& field, std::size_t number) {
  const std::size_t end = std::min(line_.find(format_.separator, at_), line_.size());
  field.assign(line_, at_, end - at_);
  at_ = end;
  if (format_.has_quotes && field.find('"') != std::string::npos) {
    refuse(number,
           "got a quote within, expected the field in quotes and this one doubled "
           "(--no-quotes: a quote is a character)");
  }
}

bool CsvReader::next(std::vector<std::string>& row) {
  row.clear();
  if (!take_line()) return false;
  row_line_ = lines_.line_number();
  if (line_.empty()) return true;
  while (true) {
    std::string& field = row.emplace_back();
    const bool is_quoted = format_.has_quotes && at_ < line_.size() && line_[at_] == '"';
    if (is_quoted) {
      ++at_;
      read_quoted(field, row.size());
    } else {
      read_plain(field, row.size());
    }
    if (at_ == line_.size()) return true;
    if (line_[at_] != format_.separator) {
      const auto byte = static_cast<unsigned char>(line_[at_]);
      const bool is_plain = byte >= 0x20 && byte < 0x7F;
      refuse(row.size(), fmt::format("got {} behind the closing quote, expected {} or the end "
                                     "(--no-quotes: a quote is a character)",
                                     is_plain ? fmt::format("'{}'", line_[at_])
                                              : fmt::format("byte 0x{:02X}", byte),
                                     format_.separator == '\t' ? "a tab" : "a comma"));
    }
    ++at_;
  }
}

}  // namespace tessera
