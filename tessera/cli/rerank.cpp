// SPDX-License-Identifier: Apache-2.0
// tessera rerank: sorts texts by how well they answer a query, by a reranker or by embeddings.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
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
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/text_ranker.hpp"

namespace tessera::cli {
namespace {

struct Rerank {
  ModelFlags model;
  TextFlags text;
  InputFlags input;
  std::vector<std::string> queries;
  DocumentPromptFlags document_prompt;
  std::string format;  // empty: by the output's name
  std::string output = "-";
  Index top_n = 0;  // 0: all
  bool gives_logits = false, is_quiet = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command);
};

void Rerank::run(const CLI::App& /*command*/) {
  format = format_by_name(format, output, {"text", "jsonl"}, "text");
  input.require_ids_in(format);
  require_distinct({{"-o", output}}, model.with_plan(input.paths()), model.model);
  const SidePackages sides = open_sides(model);
  const auto& package = sides.documents;
  const RankOutput ranks_by = about(model.model, [&] { return rank_output(*package); });
  if (gives_logits && !ranks_by.is_of_pairs) {
    throw UsageError("--logits: got an embedder, expected a reranker");
  }
  EncoderOptions options = model.encoder_options({ranks_by.name});
  std::size_t bad = 0;
  const auto tell = [&bad](const Error& error) {
    say("tessera rerank: {}\n", error.what());
    ++bad;
  };
  SideEncoders encoders(sides, advised(model, *package, std::move(options), is_quiet));
  TextRanker ranker(encoders.of_documents(), encoders.of_queries(), text,
                    document_prompt.options(text));
  std::vector<Entry> entries;
  for (const RecordInput& one : input.inputs()) {
    for (Entry& entry : read_entries(one, tell)) entries.push_back(std::move(entry));
  }
  OutputFile out(output);
  {
    Progress progress("embedding");
    ranker.take(std::move(entries), tell, progress.of_known());
  }
  const std::size_t count = top_n > 0 ? static_cast<std::size_t>(top_n) : ranker.entries().size();
  for (std::size_t q = 0; q < queries.size(); ++q) {
    Progress progress("reranking");
    std::vector<RankedText> ranks = about(fmt::format("query {}", q + 1), [&] {
      return ranker.rank(queries[q], count, tell, progress.of_known());
    });
    progress.clear();
    for (RankedText& rank : ranks) {
      if (gives_logits) rank.score = static_cast<double>(*rank.logit);
    }
    out.write(format == "jsonl" ? ranks_json(queries[q], ranks, ranker.entries())
                                : ranks_text(queries[q], ranks, ranker.entries()));
    out.flush_pipe();
  }
  out.finish();
  if (!ranker.reads_pairs()) say_what_was_cut("rerank", ranker.document_inputs());
  say_what_was_cut("rerank", ranker.query_inputs());
  if (bad > 0) {
    throw Error(ErrorCode::invalid_argument, fmt::format("{} text{} not ranked, expected all", bad,
                                                         bad == 1 ? " was" : "s were"));
  }
}

void Rerank::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_embedding_to(command);
  model.add_memory_to(command);
  model.add_plan_to(command);
  add_option(command, "FILE", input.files, "",
             "Files of texts, one per line, .tsv, .csv, or .jsonl (none: stdin)");
  input.add_lines_to(command);
  for (const char* of_pairs : {"--pair-key", "--pair-column"}) {
    command.remove_option(command.get_option(of_pairs));
  }
  input.add_id_key_to(command);
  add_option(command, "--query", queries, "QUERY", "What the texts are to answer; may be repeated")
      ->required()
      ->allow_extra_args(false);
  add_count(command, "--top-n", top_n, "Texts per query (default: all)", kMany, "N");
  command.add_flag("--logits", gives_logits, "Scores are a reranker's logits");
  add_choice(command, "--format", format, "FORMAT", {"text", "jsonl"},
             "text, jsonl (default: as the name given with -o ends; else text)");
  add_output(command, output);
  command.add_flag("-q,--quiet", is_quiet, "No advice on stderr");
  text.add_to(command);
  document_prompt.add_to(command, "--document-prompt", "every text, of an embedder");
  command.footer(
      "A model with one logit (a reranker) reads every query with every text; the score is the\n"
      "logit after the activation that its files name, or the sigmoid. Qwen3-Reranker is one by\n"
      "its answer \"yes\"; --prompt is its instruction. A multiple choice reads "
      "them\n"
      "likewise; the scores are the softmax over the texts. A model with an embedding\n"
      "reads each text once; the score is what similarity_fn_name of its files names: cosine\n"
      "(default), dot, euclidean, manhattan (the last two: minus the distance), of late "
      "interaction\n"
      "(ColBERT) MaxSim, after its prompts\n"
      "called query, and document, passage or corpus, unless a prompt is given. Of a Router the\n"
      "query takes the route of queries, the texts that of documents. Best first, equal\n"
      "scores by line. Texts that cannot be read or ranked are named and left out, and the exit\n"
      "status is 1.\n"
      "Examples:\n"
      "  tessera rerank model --query \"how do I brew tea\" passages.txt --top-n 3\n"
      "  tessera rerank model --query tea passages.jsonl --id-key id --format jsonl");
}

}  // namespace

void add_rerank(CLI::App& root) {
  add_command<Rerank>(root, "rerank", "Sort texts by how well they answer a query");
}

}  // namespace tessera::cli
