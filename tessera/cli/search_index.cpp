// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/search_index.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "runtime/base/error.hpp"
#include "tessera/cli/cosine.hpp"
#include "tessera/cli/embedding_writer.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/progress.hpp"

namespace tessera::cli {
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

// Moves the chosen column of a line to `text`; the others stay columns.
void choose_column(Entry& entry, const std::string& line, const std::optional<Index>& column) {
  entry.columns = split_at_tabs(line);
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

std::vector<float> load_rows(const IndexFlags& flags, std::size_t entries, Index width) {
  NpyMatrix matrix = read_npy(flags.load);
  if (matrix.rows != entries || matrix.width != width) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: got {} rows of {} floats, expected {} rows of {} floats as {} has lines "
                    "with text and the model has features",
                    flags.load, matrix.rows, matrix.width, entries, width, flags.file));
  }
  return {matrix.values.get(), matrix.values.get() + matrix.rows * static_cast<std::size_t>(width)};
}

void save_rows(const std::string& path, std::span<const float> rows, Index width) {
  OutputFile out(path);
  const auto step = static_cast<std::size_t>(width);
  const auto writer = MatrixWriter::create(MatrixFormat::npy, out, width);
  for (std::size_t begin = 0; begin < rows.size(); begin += step) {
    writer->write_row(rows.subspan(begin, step), std::nullopt);
  }
  writer->finish();
  out.finish();
}

}  // namespace

void IndexFlags::add_to(CLI::App& command) {
  command.add_option("--index", file, "The file to search: a text per line, .tsv, or .jsonl")
      ->required()
      ->type_name("FILE");
  command
      .add_option("--column", column,
                  "Embed column N of lines split at tabs (default in a .tsv: the last)")
      ->check(integer_between(1, 1 << 20))
      ->type_name("N");
  command.add_flag("--header", has_header, "The first line names the columns: not indexed");
  command.add_flag("--jsonl", is_jsonl,
                   "Each line is {\"text\": ...} (implied by a name in .jsonl)");
  auto* save_option = command.add_option("--save-index", save, "Keep the vectors in FILE (.npy)")
                          ->type_name("FILE");
  command
      .add_option("--load-index", load,
                  "Take the vectors from FILE, made by --save-index from the same lines")
      ->type_name("FILE")
      ->excludes(save_option);
}

std::vector<Entry> read_entries(const IndexFlags& flags) {
  const bool is_json = flags.is_jsonl || format_of(flags.file) == LineFormat::jsonl;
  const bool has_columns = !is_json && (flags.column.has_value() || flags.file.ends_with(".tsv"));
  if (is_json && flags.column)
    throw UsageError("--column: applies to lines split at tabs, got JSON lines");
  RecordReader reader(flags.file, is_json ? LineFormat::jsonl : LineFormat::text);
  std::vector<Entry> entries;
  Record record;
  if (flags.has_header && !reader.skip_line()) return entries;
  while (reader.next(record)) {
    Entry entry;
    entry.line = reader.lines().line_number();
    entry.where = std::move(record.where);
    if (has_columns && !record.text.empty()) {
      choose_column(entry, record.text, flags.column);
    } else {
      entry.text = std::move(record.text);
      if (record.pair) entry.columns.push_back(std::move(*record.pair));
    }
    if (!entry.text.empty()) entries.push_back(std::move(entry));
  }
  if (entries.empty()) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: got no line with text, expected at least one to search in", flags.file));
  }
  return entries;
}

std::vector<float> index_rows(const IndexFlags& flags, const std::vector<Entry>& entries,
                              const TextInputs& texts, TextEncoder& encoder) {
  const Index width = encoder.width();
  if (!flags.load.empty()) return load_rows(flags, entries.size(), width);
  const TokenSpec& spec = encoder.package().program.tokens;
  Progress progress("indexing");
  std::vector<float> rows(entries.size() * static_cast<std::size_t>(width));
  std::vector<TokenSequence> sequences;
  for (std::size_t begin = 0; begin < entries.size(); begin += kWindow) {
    const std::size_t count = std::min(kWindow, entries.size() - begin);
    sequences.clear();
    for (const Entry& entry : std::span(entries).subspan(begin, count)) {
      try {
        sequences.push_back(to_sequence(spec, texts.encode(entry.text)));
        check_sequence(spec, sequences.back());
      } catch (const Error& e) {
        throw Error(e.code(), entry.where + ": " + e.what());
      }
    }
    const auto step = static_cast<std::size_t>(width);
    encoder.run(sequences, std::span(rows).subspan(begin * step, count * step),
                [&](std::size_t done, std::size_t) {
                  progress.update(begin + done, static_cast<double>(begin + done) /
                                                    static_cast<double>(entries.size()));
                });
  }
  normalize_rows(rows, width);
  progress.clear();
  if (!flags.save.empty()) save_rows(flags.save, rows, width);
  return rows;
}

}  // namespace tessera::cli
