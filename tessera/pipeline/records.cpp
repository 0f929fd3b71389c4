// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/records.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/file_ending.hpp"

namespace tessera {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

bool is_separator(char c) noexcept {
  return c == ' ' || c == '\t' || c == ',';
}

}  // namespace

std::vector<std::int32_t> parse_ids(std::string_view line) {
  std::vector<std::int32_t> ids;
  const char* at = line.data();
  const char* const end = line.data() + line.size();
  while (true) {
    while (at != end && is_separator(*at)) ++at;
    if (at == end) return ids;
    std::int32_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc{} || (next != end && !is_separator(*next))) {
      const char* word_end = at;
      while (word_end != end && !is_separator(*word_end) && word_end - at < 40) ++word_end;
      std::string quoted;
      append_json_string(quoted, {at, static_cast<std::size_t>(word_end - at)});
      refuse(fmt::format("token id {}: got {}, expected a 32-bit integer", ids.size(), quoted));
    }
    ids.push_back(id);
    at = next;
  }
}

LineFormat format_of(const std::string& path) {
  const std::string ending = file_ending(path);
  if (ending == "jsonl" || ending == "ndjson" || ending == "json") return LineFormat::jsonl;
  if (ending == "csv") return LineFormat::csv;
  return ending == "tsv" ? LineFormat::tsv : LineFormat::text;
}

namespace {

void read_json_text(JsonRecord json, const std::string& key, Record& record) {
  if (!json.text) refuse(fmt::format("got no \"{0}\", expected {{\"{0}\": ...}}", key));
  record.text = std::move(*json.text);
  record.pair = std::move(json.pair);
  record.id = std::move(json.id);
}

void read_json_ids(JsonRecord json, Record& record) {
  if (!json.ids) refuse("got no \"ids\", expected {\"ids\": [...]}");
  record.ids = std::move(*json.ids);
  record.id = std::move(json.id);
  if (!json.type_ids) return;
  record.type_ids = std::move(*json.type_ids);
  if (record.type_ids.size() != record.ids.size()) {
    refuse(fmt::format("got {} \"type_ids\", expected {} as in \"ids\"", record.type_ids.size(),
                       record.ids.size()));
  }
}

void read_pair(const std::string& line, Record& record) {
  const std::size_t tab = line.find('\t');
  if (tab == std::string::npos) refuse("got no tab, expected text, tab, second text");
  record.text = line.substr(0, tab);
  record.pair = line.substr(tab + 1);
}

}  // namespace

RecordReader::RecordReader(const std::string& path, RecordOptions options)
    : lines_(path, options.encoding),
      format_(options.format),
      json_({.text = std::move(options.keys.text),
             .pair = std::move(options.keys.pair),
             .id = std::move(options.keys.id),
             .of_ids = format_ == LineFormat::ids}),
      columns_(lines_, format_ == LineFormat::tsv ? '\t' : ',', std::move(options.columns)) {}

bool RecordReader::is_blank() const noexcept {
  return line_.find_first_not_of(kBlanks) == std::string::npos;
}

// A document of JSON that was given for lines of it: one array, or an object over several lines.
void RecordReader::check_first_json_line() const {
  const std::string_view text = std::string_view(line_).substr(line_.find_first_not_of(kBlanks));
  const char last = text[text.find_last_not_of(kBlanks)];
  const bool is_array = text.front() == '[';
  if (!is_array && (text.front() != '{' || (last != '{' && last != ',' && last != '['))) return;
  refuse(fmt::format("{}: got {}, expected one JSON object a line; `jq -c {} {}` makes them",
                     lines_.where(), is_array ? "a JSON array" : "a JSON object over several lines",
                     is_array ? "'.[]'" : ".", lines_.path().empty() ? "FILE" : lines_.path()));
}

void RecordReader::parse_line(Record& record) {
  switch (format_) {
    case LineFormat::jsonl:
      return read_json_text(json_.parse(line_), json_.keys().text, record);
    case LineFormat::ids:
      if (line_.find_first_not_of(kBlanks) == line_.find('{') && !is_blank()) {
        return read_json_ids(json_.parse(line_), record);
      }
      record.ids = parse_ids(line_);
      return;
    case LineFormat::pairs:
      return read_pair(line_, record);
    default:
      record.text = line_;
  }
}

bool RecordReader::convert_row(Record& record) {
  ColumnRecord row;
  if (!columns_.convert(row)) return false;
  record.where = std::move(row.where);
  record.text = std::move(row.text);
  record.line = row.line;
  record.columns = std::move(row.others);
  record.pair = std::move(row.pair);
  if (row.id) append_json_string(record.id, *row.id);
  return true;
}

ReadState RecordReader::read(Record& record, bool may_wait) {
  record = Record{};
  while (may_wait || lines_.is_ready()) {
    if (format_ == LineFormat::csv || format_ == LineFormat::tsv) {
      if (!columns_.take_row()) return ReadState::end;
      if (convert_row(record)) return ReadState::record;
      continue;
    }
    if (!lines_.next(line_)) return ReadState::end;
    if (format_ == LineFormat::jsonl) {
      if (is_blank()) continue;
      if (!std::exchange(has_json_, true)) check_first_json_line();
    }
    record.where = lines_.where();
    record.line = lines_.line_number();
    try {
      parse_line(record);
    } catch (const Error& error) {
      throw BadRecord(fmt::format("{}: {}", record.where, error.what()));
    }
    return ReadState::record;
  }
  return ReadState::waits;
}

}  // namespace tessera
