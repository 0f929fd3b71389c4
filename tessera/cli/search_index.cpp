// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/search_index.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "runtime/base/error.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

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

void save_rows(const std::string& path, const SearchIndex& index) {
  OutputFile out(path);
  index.vectors.save(out);
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

void embed_index(const IndexFlags& flags, SearchIndex& index, const TextInputs& texts,
                 TextEncoder& encoder) {
  if (!flags.load.empty()) return index.load(flags.load, encoder.width(), flags.file);
  Progress progress("indexing");
  index.embed(texts, encoder, [&progress](std::size_t done, std::size_t total) {
    progress.update(done, static_cast<double>(done) / static_cast<double>(total));
  });
  progress.clear();
  if (!flags.save.empty()) save_rows(flags.save, index);
}

}  // namespace tessera::cli
