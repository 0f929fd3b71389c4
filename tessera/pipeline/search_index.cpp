// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/search_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/csv_reader.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/records.hpp"

namespace tessera {
namespace {

constexpr std::size_t kWindow = 4096;  // entries that are tokenized and computed together

std::vector<std::string> split_at_tabs(const std::string& line) {
  std::vector<std::string> columns;
  std::size_t begin = 0;
  while (true) {
    const std::size_t tab = line.find('\t', begin);
    columns.push_back(line.substr(begin, tab - begin));
    if (tab == std::string::npos) return columns;
    begin = tab + 1;
  }
}

// Moves the chosen column of a row to `text`; the others stay columns.
void choose_column(Entry& entry, std::vector<std::string> row, const std::optional<Index>& column) {
  entry.columns = std::move(row);
  const auto count = static_cast<Index>(entry.columns.size());
  const Index chosen = column.value_or(count);
  if (chosen > count) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got {} column{}, expected at least {} (--column)", entry.where,
                            count, count == 1 ? "" : "s", chosen));
  }
  const auto at = entry.columns.begin() + (chosen - 1);
  entry.text = std::move(*at);
  entry.columns.erase(at);
}

std::vector<Entry> read_csv(const std::string& path, const EntryFormat& format) {
  LineReader lines(path, format.encoding);
  CsvReader csv(lines, {.separator = ',', .has_quotes = true});
  std::vector<Entry> entries;
  std::vector<std::string> row;
  bool is_header = format.has_header;
  while (csv.next(row)) {
    const bool is_skipped = is_header || row.empty();
    is_header = false;
    if (is_skipped) continue;
    Entry entry{.line = csv.row_line(), .where = csv.where(), .text = {}, .columns = {}};
    choose_column(entry, std::move(row), format.column);
    if (!entry.text.empty()) entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<Entry> read_lines(const std::string& path, const EntryFormat& format) {
  const bool is_json = format.is_json || format_of(path) == LineFormat::jsonl;
  const bool has_columns = !is_json && (format.column.has_value() || path.ends_with(".tsv"));
  RecordReader reader(path, RecordOptions{.format = is_json ? LineFormat::jsonl : LineFormat::text,
                                          .encoding = format.encoding});
  std::vector<Entry> entries;
  Record record;
  if (format.has_header && !reader.skip_line()) return entries;
  while (reader.next(record)) {
    Entry entry;
    entry.line = reader.lines().line_number();
    entry.where = std::move(record.where);
    if (has_columns && !record.text.empty()) {
      choose_column(entry, split_at_tabs(record.text), format.column);
    } else {
      entry.text = std::move(record.text);
      if (record.pair) entry.columns.push_back(std::move(*record.pair));
    }
    if (!entry.text.empty()) entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace

std::vector<Entry> read_entries(const std::string& path, const EntryFormat& format) {
  const bool is_csv = !format.is_json && path.ends_with(".csv");
  std::vector<Entry> entries = is_csv ? read_csv(path, format) : read_lines(path, format);
  if (entries.empty()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got no line with text, expected at least one to search in", path));
  }
  return entries;
}

std::vector<float> embed_entries(std::span<const Entry> entries, const TextInputs& texts,
                                 TextEncoder& encoder, const ProgressCallback& progress) {
  const auto step = static_cast<std::size_t>(encoder.width());
  const TokenSpec& spec = require_tokens(encoder.package().program);
  std::vector<float> rows(entries.size() * step);
  std::vector<TokenSequence> sequences;
  for (std::size_t begin = 0; begin < entries.size(); begin += kWindow) {
    const std::size_t count = std::min(kWindow, entries.size() - begin);
    sequences.clear();
    for (const Entry& entry : entries.subspan(begin, count)) {
      about(entry.where, [&] { sequences.push_back(to_sequence(spec, texts.encode(entry.text))); });
    }
    about_sequences([&](std::size_t i) { return entries[begin + i].where; },
                    [&] {
                      encoder.run(sequences, std::span(rows).subspan(begin * step, count * step),
                                  [&](std::size_t done, std::size_t) {
                                    if (progress) progress(begin + done, entries.size());
                                  });
                    });
  }
  return rows;
}

std::vector<float> load_rows(const std::string& path, Index width) {
  const NpyMatrix matrix = read_npy(path);
  if (matrix.width != width) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got rows of {} floats, expected {} as the model has features",
                            path, matrix.width, width));
  }
  const std::size_t count = matrix.rows * static_cast<std::size_t>(width);
  return {matrix.values.get(), matrix.values.get() + count};
}

}  // namespace tessera
