// SPDX-License-Identifier: Apache-2.0
// tessera classify: labels of texts (sequence classification, rerankers), of their tokens, or of
// images.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "tessera/cli/advice.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/image_input.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/text_job.hpp"
#include "tessera/pipeline/label_writer.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct Classify {
  ModelFlags model;
  TextFlags text;
  ImageFlags images;
  InputFlags input;
  std::string format;  // empty: by the output's name
  std::string output = "-";
  Index top_k = 0;  // 0: not given

  void add_to(CLI::App& command);
  void run(const CLI::App& command);

 private:
  using PackagePointer = std::shared_ptr<const models::Package>;
  void run_texts(const CLI::App& command, const PackagePointer& package,
                 EncoderOptions options) const;
  void run_images(const PackagePointer& package, EncoderOptions options) const;
};

void Classify::run_texts(const CLI::App& command, const PackagePointer& package,
                         EncoderOptions options) const {
  const bool is_per_token = package->task == models::Task::token_classification;
  const Preparer preparer = make_preparer(command, *package, input, text);
  if (is_per_token && preparer.texts() != nullptr &&
      (!preparer.texts()->prompt().empty() || package->lower_case_first)) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: offsets of labelled tokens are those of the text as given, expected "
                    "no prompt and no do_lower_case (--ids works)",
                    model.model));
  }
  RecordStream stream(input.inputs());
  OutputFile out(output);
  TextEncoder encoder(package, advised(model, *package, std::move(options)));
  const LabelWriter writer(*package, encoder.width(), format == "jsonl", top_k);
  const RecordCounts counts = cli::run_texts(
      {.command = "classify", .label = "classifying", .shows_stats = images.shows_stats}, stream,
      preparer, encoder,
      {.result =
           [&](const RecordResult& result) {
             const Record& record = result.record;
             std::string line = is_per_token
                                    ? writer.token_lines(record.text, result.encoding,
                                                         result.sequence.ids, result.output)
                                    : writer.line(result.output.row(0));
             out.write(format == "jsonl" ? with_id(std::move(line), record.id, result.is_cut)
                                         : line);
           },
       .failed = {},
       .end_of_window = [&](const RecordCounts&) { out.flush_pipe(); },
       .progress = {}});
  out.finish();
  require_all(counts);
}

void Classify::run_images(const PackagePointer& package, EncoderOptions options) const {
  ImageEncoder encoder(package, advised(model, *package, std::move(options)), images.options);
  const ImageList files = list_arguments(input.files, images, "classify");
  require_distinct({{"-o", output}}, model.with_plan(files.names()), model.model);
  OutputFile out(output);
  const LabelWriter writer(*package, encoder.width(), format == "jsonl", top_k);
  const std::size_t failed =
      cli::run_images(encoder, files, images, "classify", [&](std::size_t i, Results results) {
        out.write(writer.line(results[0].row(0), files.paths[i].string()));
        out.flush_pipe();
      });
  out.finish();
  require_all(failed, files);
}

void Classify::run(const CLI::App& command) {
  format = format_by_name(format, output, {"text", "jsonl"}, "text");
  require_distinct({{"-o", output}}, model.with_plan(input.paths()), model.model);
  EncoderOptions options = model.encoder_options({"logits"});
  const PackagePointer package = model.open_package();
  const models::Task task = package->task;
  const bool has_labels = task == models::Task::token_classification ||
                          task == models::Task::sequence_classification ||
                          task == models::Task::next_sentence;
  if (!has_labels) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: {} has no labels, expected a class for sequence or token classification",
                    model.model, package->architecture));
  }
  require_kind(command, *package);
  if (package->program.images() != nullptr) {
    run_images(package, std::move(options));
  } else {
    run_texts(command, package, std::move(options));
  }
}

void Classify::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_memory_to(command);
  model.add_plan_to(command);
  input.add_format_to(command, true);
  add_choice(
      command, "--format", format, "FORMAT", {"text", "jsonl"},
      "text (label, tab, probability), jsonl (default: as the name given with -o ends: .txt, "
      ".tsv, .jsonl; else text)");
  add_output(command, output);
  add_count(command, "--top-k", top_k,
            "Labels to show (default: the best, or all if several may hold)", kMany, "K");
  text.add_to(command);
  images.add_to(command);
  command.footer(
      "Probabilities are the softmax of the logits, or the sigmoid where config.json says\n"
      "multi_label_classification; a model with one logit (a reranker) gives sigmoid scores; a\n"
      "regression gives the logits. Models that label tokens give a line per token: begin, end,\n"
      "text, label, probability, and an empty line after each text. Of images each line begins\n"
      "with the path. A file or a line that gives nothing is named on stderr and left out, and "
      "the\n"
      "exit status is 1.\n"
      "Examples:\n"
      "  echo 'What a lovely film' | tessera classify sentiment-model --top-k 2\n"
      "  printf 'query\\ta passage\\n' | tessera classify reranker --pairs\n"
      "  tessera classify reranker pairs.csv --column query --pair-column passage\n"
      "  tessera classify vit photos/ portrait.png --top-k 5");
}

}  // namespace

void add_classify(CLI::App& root) {
  add_command<Classify>(root, "classify",
                        "Labels of texts and images, scores of pairs, labels of tokens");
}

}  // namespace tessera::cli
