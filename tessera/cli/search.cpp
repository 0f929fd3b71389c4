// SPDX-License-Identifier: Apache-2.0
// tessera search: indexes a file, answers queries by cosine.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/json.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/search_index.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

constexpr std::size_t kShownCharacters = 100;  // of a text, in the answer for people

struct Search {
  ModelFlags model;
  TextFlags text;
  IndexFlags index;
  std::vector<std::string> queries;
  std::optional<std::string> index_prompt, index_prompt_name;
  std::string format = "text";
  Index top_k = 5;
  bool is_quiet = false;

  void run() const;
};

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// One line of at most `most` characters: what a terminal would act on becomes a blank.
std::string one_line(const std::string& text, std::size_t most) {
  std::string line = text::replace_invalid_utf8(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  if (text::count_code_points(line) <= most) return line;
  return std::string(code_points(line, 0, most - 3)) + "...";
}

std::string answer_text(const std::string& query, const std::vector<Hit>& hits,
                        const std::vector<Entry>& entries) {
  std::string out = fmt::format("query: {}\n", one_line(query, kShownCharacters));
  for (std::size_t rank = 0; rank < hits.size(); ++rank) {
    const Entry& entry = entries[hits[rank].row];
    fmt::format_to(std::back_inserter(out), "{:>3}  {:7.4f}  ", rank + 1, hits[rank].score);
    for (const std::string& column : entry.columns)
      out += one_line(column, kShownCharacters) + " | ";
    out += one_line(entry.text, kShownCharacters) + "\n";
  }
  return out;
}

std::string answer_json(const std::string& query, const std::vector<Hit>& hits,
                        const std::vector<Entry>& entries) {
  std::string out = "{\"query\": ";
  append_json_string(out, query);
  out += ", \"hits\": [";
  for (std::size_t rank = 0; rank < hits.size(); ++rank) {
    const Entry& entry = entries[hits[rank].row];
    fmt::format_to(std::back_inserter(out), "{}{{\"line\": {}, \"score\": ", rank == 0 ? "" : ", ",
                   entry.line);
    append_json_float(out, hits[rank].score);
    out += ", \"text\": ";
    append_json_string(out, entry.text);
    out += ", \"columns\": [";
    for (std::size_t i = 0; i < entry.columns.size(); ++i) {
      if (i != 0) out += ", ";
      append_json_string(out, entry.columns[i]);
    }
    out += "]}";
  }
  return out + "]}\n";
}

// Queries from the command line, or from stdin while there are lines.
class Queries {
 public:
  explicit Queries(const std::vector<std::string>& given) : given_(given) {
    if (given_.empty()) lines_ = std::make_unique<LineReader>("-");
  }

  bool next(std::string& query, std::string& where) {
    if (lines_ != nullptr) {
      if (::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1)
        fmt::print(stderr, "query> ");
      if (!lines_->next(query)) return false;
      where = lines_->where();
      return true;
    }
    if (used_ == given_.size()) return false;
    query = given_[used_++];
    where = fmt::format("query {}", used_);
    return true;
  }

 private:
  const std::vector<std::string>& given_;
  std::size_t used_ = 0;
  std::unique_ptr<LineReader> lines_;
};

void Search::run() const {
  if (index.file == "-" && queries.empty()) {
    throw UsageError("--index - reads standard input, expected queries as arguments");
  }
  EncoderOptions options = model.encoder_options({"embedding"});
  const std::shared_ptr<const models::Package> package = model.open_package();
  require_embedding(*package);
  const TextInputs query_texts(*package, text.text_options());
  TextOptions index_options = text.text_options();
  index_options.prompt = index_prompt;
  index_options.prompt_name = index_prompt_name;
  const TextInputs index_texts(*package, index_options);
  SearchIndex searched;
  searched.entries = read_entries(index);
  const std::vector<Entry>& entries = searched.entries;
  OutputFile out("-");
  TextEncoder encoder(package, std::move(options));

  const Clock::time_point begin = Clock::now();
  embed_index(index, searched, index_texts, encoder);
  if (!is_quiet) {
    const double ms = milliseconds_since(begin);
    fmt::print(stderr, "tessera search: {} {} texts in {:.2f} s ({:.0f} texts/s)\n",
               index.load.empty() ? "indexed" : "loaded", entries.size(), ms / 1e3,
               static_cast<double>(entries.size()) / ms * 1e3);
  }

  Queries source(queries);
  std::string query, where;
  std::vector<float> vector(static_cast<std::size_t>(encoder.width()));
  double embedding_ms = 0.0, search_ms = 0.0;
  std::size_t count = 0;
  while (source.next(query, where)) {
    const Clock::time_point asked = Clock::now();
    TokenSequence sequence;
    try {
      sequence = to_sequence(package->program.tokens, query_texts.encode(query));
      check_sequence(package->program.tokens, sequence);
    } catch (const Error& e) {
      throw Error(e.code(), where + ": " + e.what());
    }
    encoder.run(std::span(&sequence, 1), vector);
    const Clock::time_point embedded = Clock::now();
    const std::vector<Hit> hits = searched.vectors.find(vector, static_cast<std::size_t>(top_k));
    search_ms += milliseconds_since(embedded);
    embedding_ms += std::chrono::duration<double, std::milli>(embedded - asked).count();
    ++count;
    out.write(format == "jsonl" ? answer_json(query, hits, entries)
                                : answer_text(query, hits, entries));
    out.flush();
  }
  out.finish();
  if (!is_quiet && count != 0) {
    const auto n = static_cast<double>(count);
    fmt::print(stderr,
               "tessera search: {} quer{}, {:.2f} ms each ({:.2f} embedding, {:.2f} searching)\n",
               count, count == 1 ? "y" : "ies", (embedding_ms + search_ms) / n, embedding_ms / n,
               search_ms / n);
  }
}

}  // namespace

void add_search(CLI::App& root) {
  auto* command = root.add_subcommand("search", "Index a file, answer queries by cosine");
  auto flags = std::make_shared<Search>();
  flags->model.add_to(*command);
  flags->model.add_plan_to(*command);
  command->add_option("QUERY", flags->queries, "What to look for (none: a query per line of stdin)")
      ->type_name("");
  flags->index.add_to(*command);
  command->add_option("--top-k", flags->top_k, "Answers per query (default: 5)")
      ->check(integer_between(1, std::int64_t{1} << 30))
      ->type_name("K");
  command->add_option("--format", flags->format, "text (default), jsonl")
      ->check(one_of({"text", "jsonl"}))
      ->type_name("FORMAT");
  command->add_flag("-q,--quiet", flags->is_quiet, "No timings on stderr");
  flags->text.add_to(*command);
  auto* prompt = command
                     ->add_option("--index-prompt", flags->index_prompt,
                                  "Put TEXT before every indexed text (--prompt: before queries)")
                     ->type_name("TEXT");
  command
      ->add_option("--index-prompt-name", flags->index_prompt_name,
                   "The same, by its name in the model's files")
      ->type_name("NAME")
      ->excludes(prompt);
  command->footer(
      "Empty lines of the file are left out. Equal scores are ordered by line.\n"
      "Examples:\n"
      "  tessera search model --index notes.txt \"how do I brew tea\" --top-k 3\n"
      "  tessera search model --index films.tsv --save-index films.npy < queries.txt");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
