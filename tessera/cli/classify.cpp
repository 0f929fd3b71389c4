// SPDX-License-Identifier: Apache-2.0
// tessera classify: labels of texts (sequence classification, rerankers), of their tokens, or of
// images.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "runtime/base/error.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/image_input.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/cli/records.hpp"
#include "tessera/pipeline/label_writer.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

constexpr std::size_t kWindow = 4096;  // records

struct Classify {
  ModelFlags model;
  TextFlags text;
  ImageFlags images;
  InputFlags files;
  std::string format = "text";
  std::string output = "-";
  Index top_k = 0;  // 0: not given

  void run() const;
  void run_texts(const std::shared_ptr<const models::Package>& package,
                 EncoderOptions options) const;
  void run_images(const std::shared_ptr<const models::Package>& package,
                  EncoderOptions options) const;
};

void Classify::run_texts(const std::shared_ptr<const models::Package>& package,
                         EncoderOptions options) const {
  const InputFlags input = files.of_text();
  images.require_none("applies to images, the model takes texts");
  const bool is_per_token = package->task == models::Task::token_classification;
  const Preparer preparer(*package, input, text);
  if (is_per_token && preparer.texts() != nullptr &&
      (!preparer.texts()->prompt().empty() || package->lower_case_first)) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: offsets of labelled tokens are those of the text as given, expected "
                    "no prompt and no do_lower_case (--ids works)",
                    model.model));
  }
  RecordReader reader(input.file, preparer.format());
  OutputFile out(output);
  TextEncoder encoder(package, std::move(options));
  const LabelWriter writer(*package, encoder.width(), format == "jsonl", top_k);

  Progress progress("classifying");
  std::size_t written = 0;
  while (true) {
    const std::uint64_t window_begin = reader.lines().bytes_read();
    const std::vector<Record> window = reader.next_window(kWindow);
    if (window.empty()) break;
    std::vector<Prepared> prepared;
    std::vector<TokenSequence> sequences;
    for (const Record& record : window) {
      if (is_per_token && record.pair) {
        throw Error(ErrorCode::invalid_argument,
                    record.where + ": got a pair, expected one text: the model labels tokens");
      }
      Prepared one = preparer.prepare(record);
      sequences.push_back(one.sequence);
      prepared.push_back(std::move(one));
    }
    std::vector<std::string> lines(window.size());
    encoder.run(
        sequences,
        [&](std::size_t i, Results results) {
          lines[i] = is_per_token ? writer.token_lines(window[i].text, prepared[i].encoding,
                                                       prepared[i].sequence.ids, results[0])
                                  : writer.line(results[0].row(0));
        },
        [&](std::size_t done, std::size_t total) {
          progress.update(written + done, fraction_done(reader.lines(), window_begin, done, total));
        });
    for (const std::string& line : lines) out.write(line);
    written += window.size();
    if (!out.is_seekable()) out.flush();
  }
  progress.clear();
  out.finish();
}

void Classify::run_images(const std::shared_ptr<const models::Package>& package,
                          EncoderOptions options) const {
  text.require_none("applies to texts, the model takes images");
  files.require_none("applies to texts, the model takes images");
  ImageEncoder encoder(package, std::move(options), images.image_options());
  const ImageFiles inputs = list_images(files.files, images, "classify");
  OutputFile out(output);
  const LabelWriter writer(*package, encoder.width(), format == "jsonl", top_k);
  const std::size_t failed =
      cli::run_images(encoder, inputs, images, "classify", [&](std::size_t i, Results results) {
        out.write(writer.line(results[0].row(0), inputs.paths[i].string()));
        if (!out.is_seekable()) out.flush();
      });
  out.finish();
  require_all(failed, inputs.paths.size() + inputs.unreadable);
}

void Classify::run() const {
  EncoderOptions options = model.encoder_options({"logits"});
  const std::shared_ptr<const models::Package> package = model.open_package();
  const bool has_labels = package->task == models::Task::token_classification ||
                          package->task == models::Task::sequence_classification;
  if (!has_labels) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: {} has no labels, expected a class for sequence or token classification",
                    model.model, package->architecture));
  }
  if (package->program.images.channels > 0) {
    run_images(package, std::move(options));
  } else {
    run_texts(package, std::move(options));
  }
}

}  // namespace

void add_classify(CLI::App& root) {
  auto* command = root.add_subcommand(
      "classify", "Labels of texts and images, scores of pairs, labels of tokens");
  auto flags = std::make_shared<Classify>();
  flags->model.add_to(*command);
  flags->model.add_plan_to(*command);
  flags->files.add_files_to(*command);
  flags->files.add_format_to(*command, true);
  command->add_option("--format", flags->format, "text (default: label, tab, probability), jsonl")
      ->check(one_of({"text", "jsonl"}))
      ->type_name("FORMAT");
  command
      ->add_option("-o,--output", flags->output, "Write to FILE, which appears when it is complete")
      ->type_name("FILE");
  command
      ->add_option("--top-k", flags->top_k,
                   "Labels to show (default: the best, or all if several may hold)")
      ->check(integer_between(1, std::int64_t{1} << 30))
      ->type_name("K");
  flags->text.add_to(*command);
  flags->images.add_to(*command);
  command->footer(
      "Probabilities are the softmax of the logits, or the sigmoid where config.json says\n"
      "multi_label_classification; a model with one logit (a reranker) gives sigmoid scores; a\n"
      "regression gives the logits. Models that label tokens give a line per token: begin, end,\n"
      "text, label, probability, and an empty line after each text. Of images each line begins\n"
      "with the path; a file that gives nothing is named on stderr, and the exit status is 1.\n"
      "Examples:\n"
      "  echo 'What a lovely film' | tessera classify sentiment-model --top-k 2\n"
      "  printf 'query\\ta passage\\n' | tessera classify reranker --pairs\n"
      "  tessera classify vit photos/ portrait.png --top-k 5");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
