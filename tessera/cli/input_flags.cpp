// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/input_flags.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"

namespace tessera::cli {
namespace {

bool is_table(const RecordInput& input) noexcept {
  return input.options.format == LineFormat::csv || input.options.format == LineFormat::tsv;
}

}  // namespace

CLI::Option* add_encoding(CLI::App& command, std::string& encoding) {
  std::vector<std::string> names;
  for (const TextEncoding each : kTextEncodings) names.emplace_back(to_string(each));
  return add_choice(command, "--encoding", encoding, "NAME", names,
                    fmt::format("Texts: what their bytes are: {} (default: utf-8; -replace: other "
                                "bytes become U+FFFD)",
                                fmt::join(names, ", ")));
}

void InputFlags::add_format_to(CLI::App& command, bool with_pairs) {
  add_option(command, "FILE", files, "",
             "Texts: input, one per line ('-' or none: stdin); images: files and directories");
  add_lines_to(command);
  add_id_key_to(command);
  auto* ids = command.add_flag("--ids", is_ids,
                               "Each line is token ids between blanks or commas, or "
                               "{\"ids\": [...], \"type_ids\": [...]}; needs no tokenizer");
  for (const char* other : {"--jsonl", "--csv", "--tsv"}) ids->excludes(command.get_option(other));
  if (!with_pairs) return;
  auto* pairs = command.add_flag("--pairs", is_pairs, "Each line is a text, a tab, a second text");
  for (const char* other : {"--jsonl", "--csv", "--tsv", "--ids"}) {
    pairs->excludes(command.get_option(other));
  }
}

void InputFlags::add_lines_to(CLI::App& command) {
  auto* jsonl = command.add_flag("--jsonl", is_jsonl,
                                 fmt::format("Each line is {{\"{}\": ..., \"{}\": ...}}, as in "
                                             "files named .jsonl, .ndjson, .json; blank lines are "
                                             "none",
                                             text_name, pair_name));
  auto* csv = command.add_flag("--csv", is_csv, "Comma-separated values, as in files named .csv");
  auto* tsv = command.add_flag("--tsv", is_tsv, "Tab-separated values, as in files named .tsv");
  csv->excludes(jsonl);
  tsv->excludes(jsonl)->excludes(csv);
  add_option(command, "--text-key", text_key, "KEY",
             fmt::format("JSON lines: what the text is called; tables: its column (default: {})",
                         text_name));
  add_option(command, "--pair-key", pair_key, "KEY",
             fmt::format("The same of second texts (default: {})", pair_name));
  add_option(command, "--column", column, "NAME|N",
             "Tables: the column of the text, by its name in the header or its number from 1 "
             "(default: the only one, or the one called as --text-key says)");
  add_option(command, "--pair-column", pair_column, "NAME|N", "Tables: the column of second texts");
  command.add_flag("--header", has_header,
                   "Tables: the first row names the columns (implied by a NAME)");
  command.add_flag("--no-quotes", has_no_quotes,
                   "Tables: a quote is a character like others (default: as RFC 4180)");
  add_encoding(command, encoding);
}

void InputFlags::add_id_key_to(CLI::App& command) {
  add_option(command, "--id-key", id_key, "KEY",
             "JSON lines and tables: copy this value to each line of --format jsonl as \"id\" "
             "(default: \"id\" where there is one)");
}

std::vector<std::string> InputFlags::paths() const {
  return files.empty() ? std::vector<std::string>{"-"} : files;
}

LineFormat InputFlags::format(const std::string& path) const {
  if (is_ids) return LineFormat::ids;
  if (is_pairs) return LineFormat::pairs;
  if (is_csv) return LineFormat::csv;
  if (is_tsv) return LineFormat::tsv;
  const LineFormat named = format_of(path);
  return is_jsonl || (plain_is_jsonl && named == LineFormat::text) ? LineFormat::jsonl : named;
}

void InputFlags::require_readers_of_flags(const std::vector<RecordInput>& inputs) const {
  const bool has_table = std::any_of(inputs.begin(), inputs.end(), is_table);
  const bool has_keys = has_table || is_ids ||
                        std::any_of(inputs.begin(), inputs.end(), [](const RecordInput& input) {
                          return input.options.format == LineFormat::jsonl;
                        });
  const auto require = [](bool is_given, bool is_read, const char* flag, const char* of) {
    if (is_given && !is_read) {
      throw UsageError(fmt::format("{}: got no such input, expected {}", flag, of));
    }
  };
  const char* const tables = "a table (a name in .csv or .tsv, --csv, --tsv)";
  require(column.has_value(), has_table, "--column", tables);
  require(pair_column.has_value(), has_table, "--pair-column", tables);
  require(has_header, has_table, "--header", tables);
  require(has_no_quotes, has_table, "--no-quotes", tables);
  const char* const keyed = "JSON lines or a table (.jsonl, .csv, .tsv, --jsonl, --csv, --tsv)";
  require(text_key.has_value(), has_keys && !is_ids, "--text-key", keyed);
  require(pair_key.has_value(), has_keys && !is_ids, "--pair-key", keyed);
  require(id_key.has_value(), has_keys, "--id-key", keyed);
}

void InputFlags::require_ids_in(const std::string& format) const {
  if (!id_key || format == "jsonl") return;
  throw UsageError(fmt::format("--id-key: got --format {}, expected jsonl, which has ids", format));
}

std::vector<RecordInput> InputFlags::inputs() const {
  if (std::count(files.begin(), files.end(), "-") > 1) {
    throw UsageError("got '-' twice, expected standard input once");
  }
  const std::string text = text_key.value_or(text_name), pair = pair_key.value_or(pair_name);
  std::vector<RecordInput> inputs;
  for (const std::string& path : paths()) {
    inputs.push_back({.path = path,
                      .options = {.format = format(path),
                                  .encoding = encoding_from_string(encoding).value(),
                                  .keys = {.text = text, .pair = pair, .id = id_key},
                                  .columns = {.text = column ? column : text_key,
                                              .pair = pair_column ? pair_column : pair_key,
                                              .id = id_key,
                                              .text_name = text,
                                              .pair_name = pair,
                                              .has_header = has_header,
                                              .has_quotes = !has_no_quotes}}});
  }
  require_readers_of_flags(inputs);
  return inputs;
}

}  // namespace tessera::cli
