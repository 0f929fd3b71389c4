// SPDX-License-Identifier: Apache-2.0
// tessera answer: where in a text the answer to a question stands.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tessera/cli/advice.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/text_job.hpp"
#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/question_answering.hpp"
#include "tessera/pipeline/span_lines.hpp"

namespace tessera::cli {
namespace {

struct Answering {
  ModelFlags model;
  InputFlags input;
  std::optional<std::string> question;
  std::optional<Index> max_length, stride;
  Index top_k = 1, max_answer_length = 15;
  bool may_be_none = false, shows_stats = false;
  std::string format;  // empty: by the output's name
  std::string output = "-";

  void add_to(CLI::App& command);
  void run(const CLI::App& command);
};

void Answering::run(const CLI::App& command) {
  if (question) {
    if (question->empty()) throw UsageError("--question: got an empty text, expected a question");
    require_none(command, {"--pairs", "--pair-key", "--pair-column"},
                 "says where contexts are, got --question, which takes every text for one");
  }
  format = format_by_name(format, output, {"text", "jsonl"}, "text");
  input.require_ids_in(format);
  require_distinct({{"-o", output}}, model.with_plan(input.paths()), model.model);
  if (question) input.text_name = "context";
  EncoderOptions options = model.encoder_options({"start_logits", "end_logits"});
  const auto package = model.open_package();
  const QuestionAnswering answering(
      *package, {.max_length = max_length,
                 .stride = stride ? std::optional(static_cast<std::size_t>(*stride)) : std::nullopt,
                 .answers = {.count = static_cast<std::size_t>(top_k),
                             .max_tokens = static_cast<std::size_t>(max_answer_length),
                             .may_be_none = may_be_none}});
  RecordStream stream(input.inputs());
  OutputFile out(output);
  TextEncoder encoder(package, advised(model, *package, std::move(options)));
  // The question and the context of a record.
  const auto texts_of = [&](const Record& record) -> std::pair<std::string_view, std::string_view> {
    if (question) return {*question, record.text};
    if (record.pair) return {record.text, *record.pair};
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got no context, expected one beside the question, or --question",
                            record.where));
  };
  const Prepare prepare = [&](const Record& record, std::vector<Prepared>& parts) {
    const auto [asked, context] = texts_of(record);
    about(record.where, [&, question_text = asked, context_text = context] {
      for (text::Encoding& window : answering.windows(question_text, context_text)) {
        TokenSequence sequence = to_sequence(require_tokens(package->program), window);
        parts.push_back({std::move(sequence), std::move(window)});
      }
    });
  };
  const RecordCounts counts = run_texts(
      {.command = "answer", .label = "answering", .shows_stats = shows_stats}, stream, prepare,
      nullptr, encoder,
      {.result =
           [&](const RecordResult& result) {
             std::vector<AnswerWindow> windows;
             for (const RecordPart& part : result.parts) {
               windows.push_back({part.encoding, part.outputs[0], part.outputs[1]});
             }
             const std::vector<Answer> answers =
                 answering.answers(texts_of(result.record).second, windows);
             std::string lines = answer_lines(answers, format == "jsonl", top_k > 1);
             out.write(format == "jsonl" ? with_id(std::move(lines), result.record.id, false)
                                         : lines);
           },
       .failed = {},
       .end_of_window = [&](const RecordCounts&) { out.flush_pipe(); },
       .progress = {}});
  out.finish();
  require_all(counts);
}

void Answering::add_to(CLI::App& command) {
  input.text_name = "question";
  input.pair_name = "context";
  model.add_to(command);
  model.add_memory_to(command);
  model.add_plan_to(command);
  add_option(command, "FILE", input.files, "",
             "Questions with their contexts: JSON lines, tables, or lines of question, tab, "
             "context (--pairs); with --question: contexts ('-' or none: stdin)");
  input.add_lines_to(command);
  input.add_id_key_to(command);
  command.add_flag("--pairs", input.is_pairs, "Each line is a question, a tab, a context")
      ->excludes(command.get_option("--jsonl"))
      ->excludes(command.get_option("--csv"))
      ->excludes(command.get_option("--tsv"));
  add_option(command, "--question", question, "TEXT", "Ask this of every text");
  add_count(command, "--top-k", top_k, "Answers to show (default: 1)", kMany, "K");
  add_count(command, "--max-answer-length", max_answer_length,
            "Tokens of an answer at most (default: 15)");
  command.add_flag("--null-answer", may_be_none,
                   "\"There is none\" is an answer too: an empty one at 0");
  add_count(command, "--max-length", max_length,
            "Tokens of a window, question and special tokens included (default: 384, or what the "
            "model takes)");
  add_option(command, "--stride", stride, "N",
             "Tokens that a window has in common with the one before (default: 128, or half of "
             "the window)")
      ->check(integer_between(0, kMany));
  add_choice(command, "--format", format, "FORMAT", {"text", "jsonl"},
             "text (score, begin, end, answer between tabs), jsonl (default: as the name given "
             "with -o ends; else text)");
  add_output(command, output);
  command.add_flag("--stats", shows_stats, "Say at the end how fast it was");
  command.footer(
      "JSON lines are {\"question\": ..., \"context\": ...}, tables have such columns, unless keys "
      "and\n"
      "columns are given. begin and end count code points of the\n"
      "context. A context that is too long is read in windows that overlap. Scores are the\n"
      "probabilities of begin and end, multiplied; equal answers of one context are one, and "
      "their\n"
      "scores are added. A line that gives nothing is named on stderr and left out, and the exit\n"
      "status is 1.\n"
      "Examples:\n"
      "  echo 'Tea is brewed at 80 degrees.' | tessera answer model --question 'How hot?'\n"
      "  tessera answer model questions.jsonl --top-k 3 --null-answer --format jsonl");
}

}  // namespace

void add_answer(CLI::App& root) {
  add_command<Answering>(root, "answer", "Where in a text the answer to a question stands");
}

}  // namespace tessera::cli
