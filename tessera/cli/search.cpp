// SPDX-License-Identifier: Apache-2.0
// tessera search: indexes a file, answers queries by the similarity that the model's files name.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "tessera/cli/advice.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/input_flags.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/cli/say.hpp"
#include "tessera/cli/sides.hpp"
#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/answers.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/index_identity.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct Search {
  ModelFlags model;
  TextFlags text;
  std::string index, save, load;  // load, save: .npy files; empty: none
  InputFlags input;               // of the index
  std::vector<std::string> queries;
  DocumentPromptFlags index_prompt;
  std::string format = "text";
  Index top_k = 5;
  bool is_quiet = false;
  std::string store;  // of token vectors; empty: not given

  void add_to(CLI::App& command);
  void run(const CLI::App& command);

 private:
  RecordInput index_input();
  void run_tokens(const std::shared_ptr<const models::Package>& package, const RecordInput& read);
  void require_all(std::size_t bad, std::size_t failed, std::size_t count) const;
  void say_times(std::size_t count, double embedding_ms, double search_ms) const;
  VectorIndex fill(std::vector<Entry>& entries, const TextInputs& texts, TextEncoder& encoder,
                   const BadEntry& bad) const;
};

class Stopwatch {
 public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_)
        .count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Queries from the command line, or from stdin while there are lines.
class Queries {
 public:
  Queries(const std::vector<std::string>& given, TextEncoding encoding) : given_(given) {
    if (given_.empty()) lines_ = std::make_unique<LineReader>("-", encoding);
  }

  bool next(std::string& query, std::string& where) {
    if (lines_ != nullptr) {
      if (::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1) say("query> ");
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

// Vectors computed, or read from a file; saved to one.
VectorIndex Search::fill(std::vector<Entry>& entries, const TextInputs& texts, TextEncoder& encoder,
                         const BadEntry& bad) const {
  const Stopwatch watch;
  const models::Package& package = encoder.package();
  const auto measure = package.similarity_measure.value_or(models::SimilarityMeasure::cosine);
  std::vector<float> rows;
  std::unique_ptr<OutputFile> vectors, identity;  // what cannot be written is said before the work
  if (!save.empty()) {
    vectors = std::make_unique<OutputFile>(save);
    identity = std::make_unique<OutputFile>(identity_file(save));
  }
  if (load.empty()) {
    Progress progress("indexing");
    rows = embed_entries(entries, texts, encoder, bad, progress.of_known());
  } else {
    rows = load_rows(load, encoder.width());
    const IndexIdentity saved = load_identity(load);
    if (saved.lines != identity_of(package, texts, measure, entries, rows).lines) {
      leave_out_bad_entries(entries, texts, encoder, bad);  // as when it was saved
    }
    require_same(load, saved, identity_of(package, texts, measure, entries, rows));
  }
  if (vectors) {
    const auto writer = MatrixWriter::create(MatrixFormat::npy, *vectors, encoder.width());
    const auto width = static_cast<std::size_t>(encoder.width());
    for (std::size_t at = 0; at < rows.size(); at += width) {
      writer->write_row(std::span(rows).subspan(at, width), std::nullopt);
    }
    writer->finish();
    identity->write(to_json(identity_of(package, texts, measure, entries, rows)));
    vectors->finish();
    identity->finish();
  }
  VectorIndex searched(std::move(rows), encoder.width(), measure);
  if (is_quiet) return searched;
  const double ms = watch.ms();
  say("tessera search: {} {} texts in {:.2f} s ({:.0f} texts/s)\n",
      load.empty() ? "indexed" : "loaded", entries.size(), ms / 1e3,
      static_cast<double>(entries.size()) / ms * 1e3);
  return searched;
}

// What embed reads of such a file. Where neither a name nor a flag says which column is the text, it
// is the last; columns of a file of plain lines are between tabs, and quotes mean nothing there.
RecordInput Search::index_input() {
  input.files = {index};
  if (input.column && input.format(index) == LineFormat::text) {
    input.is_tsv = input.has_no_quotes = true;
  }
  RecordInput read = input.inputs().front();
  read.options.columns.last_by_default = true;
  return read;
}

void Search::run(const CLI::App& /*command*/) {
  if (index == "-" && queries.empty()) {
    throw UsageError("--index - reads standard input, expected queries as arguments");
  }
  input.require_ids_in(format);
  const RecordInput read = index_input();
  if (!save.empty()) {
    require_distinct({{"--save-index", save}, {"--save-index", identity_file(save)}},
                     model.with_plan({index}), model.model);
  }
  const SidePackages sides = open_sides(model);
  const auto& package = sides.documents;
  if (package->multi_vector) {
    run_tokens(package, read);
    return;
  }
  if (!store.empty()) {
    throw UsageError(
        "--vector-type: got a model with one vector per text, expected late interaction");
  }
  EncoderOptions options = model.encoder_options({"embedding"});
  require_embedding(*package);
  const TextInputs query_texts(*sides.queries, as(TextRole::query, *sides.queries, text));
  const TextInputs index_texts(*package,
                               as(TextRole::document, *package, index_prompt.options(text)));
  std::size_t bad = 0;
  const auto tell = [&bad](const Error& error) {
    say("tessera search: {}\n", error.what());
    ++bad;
  };
  SearchIndex searched{.entries = read_entries(read, tell), .vectors = {}};
  OutputFile out("-");
  SideEncoders encoders(sides, advised(model, *package, std::move(options), is_quiet));
  TextEncoder& encoder = encoders.of_queries();
  searched.vectors = fill(searched.entries, index_texts, encoders.of_documents(), tell);

  Queries source(queries, read.options.encoding);
  std::string query, where;
  std::vector<float> vector(static_cast<std::size_t>(encoder.width()));
  double embedding_ms = 0.0, search_ms = 0.0;
  std::size_t count = 0, failed = 0;
  while (source.next(query, where)) {
    const Stopwatch embedding;
    try {
      const TokenSequence sequence = about(where, [&] {
        return to_sequence(require_tokens(sides.queries->program), query_texts.encode(query));
      });
      about_sequences([&](std::size_t) { return where; },
                      [&] { encoder.run(std::span(&sequence, 1), vector); });
    } catch (const Error& error) {  // of this query: the others are answered
      if (error.code() != ErrorCode::invalid_argument) throw;
      say("tessera search: {}\n", error.what());
      ++failed;
      continue;
    }
    embedding_ms += embedding.ms();
    const Stopwatch searching;
    const std::vector<Hit> hits = searched.vectors.find(vector, static_cast<std::size_t>(top_k));
    search_ms += searching.ms();
    ++count;
    out.write(format == "jsonl" ? hits_json(query, hits, searched.entries)
                                : hits_text(query, hits, searched.entries));
    out.flush();
  }
  out.finish();
  say_what_was_cut("search", index_texts);
  say_what_was_cut("search", query_texts);
  say_times(count, embedding_ms, search_ms);
  require_all(bad, failed, count);
}

void Search::say_times(std::size_t count, double embedding_ms, double search_ms) const {
  if (is_quiet || count == 0) return;
  const auto n = static_cast<double>(count);
  say("tessera search: {} quer{}, {:.2f} ms each ({:.2f} embedding, {:.2f} searching)\n", count,
      count == 1 ? "y" : "ies", (embedding_ms + search_ms) / n, embedding_ms / n, search_ms / n);
}

void Search::require_all(std::size_t bad, std::size_t failed, std::size_t count) const {
  if (failed == 0 && bad == 0) return;
  if (failed == 0) {
    throw Error(ErrorCode::invalid_argument, fmt::format("{}: {} line{} not indexed, expected all",
                                                         index, bad, bad == 1 ? " was" : "s were"));
  }
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{} of {} queries gave no answer, expected all", failed, failed + count));
}

// Late interaction: a list of vectors for each text.
void Search::run_tokens(const std::shared_ptr<const models::Package>& package,
                        const RecordInput& read) {
  if (!save.empty() || !load.empty()) {
    throw UsageError(
        "--save-index, --load-index: got a model of late interaction, expected one vector per "
        "text");
  }
  const VectorStore kept = store == "f16"    ? VectorStore::f16
                           : store == "int8" ? VectorStore::int8
                                             : VectorStore::f32;
  EncoderOptions options = model.encoder_options({models::kTokenVectors});
  std::size_t bad = 0, failed = 0, count = 0;
  const auto tell = [&bad](const Error& error) {
    say("tessera search: {}\n", error.what());
    ++bad;
  };
  std::vector<Entry> entries = read_entries(read, tell);
  OutputFile out("-");
  TextEncoder encoder(package, advised(model, *package, std::move(options), is_quiet));
  TextRanker ranker(encoder, encoder, text, index_prompt.options(text), kept);
  const Stopwatch indexing;
  {
    Progress progress("indexing");
    ranker.take(std::move(entries), tell, progress.of_known());
  }
  if (!is_quiet) {
    const double seconds = indexing.ms() / 1e3;
    say("tessera search: indexed {} texts, {} vectors, {:.1f} MB, in {:.2f} s\n",
        ranker.entries().size(), ranker.token_index().vectors(),
        static_cast<double>(ranker.token_index().bytes()) / 1e6, seconds);
  }
  Queries source(queries, read.options.encoding);
  std::string query, where;
  double ms = 0.0;
  while (source.next(query, where)) {
    const Stopwatch ranking;
    try {
      const std::vector<RankedText> ranks =
          about(where, [&] { return ranker.rank(query, static_cast<std::size_t>(top_k), tell); });
      ms += ranking.ms();
      ++count;
      out.write(format == "jsonl" ? ranks_json(query, ranks, ranker.entries())
                                  : ranks_text(query, ranks, ranker.entries()));
      out.flush();
    } catch (const Error& error) {  // of this query: the others are answered
      if (error.code() != ErrorCode::invalid_argument) throw;
      say("tessera search: {}\n", error.what());
      ++failed;
    }
  }
  out.finish();
  say_what_was_cut("search", ranker.document_inputs());
  say_what_was_cut("search", ranker.query_inputs());
  say_times(count, ms, 0.0);
  require_all(bad, failed, count);
}

void Search::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_embedding_to(command);
  model.add_memory_to(command);
  model.add_plan_to(command);
  add_option(command, "QUERY", queries, "", "What to look for (none: a query per line of stdin)");
  add_option(command, "--index", index, "FILE",
             "The file to search: a text per line, .tsv, .csv, or .jsonl (.ndjson, .json)")
      ->required();
  input.add_lines_to(command);
  for (const char* of_pairs : {"--pair-key", "--pair-column"}) {
    command.remove_option(command.get_option(of_pairs));
  }
  input.add_id_key_to(command);
  auto* saved = add_option(command, "--save-index", save, "FILE",
                           "Keep the vectors in FILE (.npy), and what they are of in FILE.json");
  add_option(command, "--load-index", load, "FILE",
             "Take the vectors from FILE, made by --save-index from the same lines and model")
      ->excludes(saved);
  add_choice(command, "--vector-type", store, "TYPE", {"f32", "f16", "int8"},
             "Late interaction (ColBERT): how the vectors of tokens are kept (default: f32)");
  add_count(command, "--top-k", top_k, "Answers per query (default: 5)", kMany, "K");
  add_choice(command, "--format", format, "FORMAT", {"text", "jsonl"}, "text (default), jsonl");
  command.add_flag("-q,--quiet", is_quiet, "No timings and no advice on stderr");
  text.add_to(command);
  index_prompt.add_to(command, "--index-prompt", "every indexed text");
  command.footer(
      "The file is read as embed reads it; where no column of a table is called text and none is\n"
      "asked for, the last is searched. Lines that cannot be read are named and left out, and the\n"
      "exit status is 1. Empty lines of the file are left out. Equal scores are ordered by line. "
      "The score is what\n"
      "similarity_fn_name of the model's files names: cosine (default; dot of sparse embeddings),\n"
      "dot, euclidean, manhattan (the last two: minus the distance); of late interaction "
      "(ColBERT)\n"
      "MaxSim: for each vector of the query the best product with one of the text, added. The\n"
      "model's prompts called query, and document, passage or corpus, are put before queries and "
      "indexed texts unless a\n"
      "prompt is given. Of a Router queries take its route of queries, the file that of "
      "documents.\n"
      "Examples:\n"
      "  tessera search model --index notes.txt \"how do I brew tea\" --top-k 3\n"
      "  tessera search model --index films.tsv --save-index films.npy < queries.txt");
}

}  // namespace

void add_search(CLI::App& root) {
  add_command<Search>(root, "search", "Index a file, answer queries by similarity");
}

}  // namespace tessera::cli
