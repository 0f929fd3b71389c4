// SPDX-License-Identifier: Apache-2.0
// tessera classify: labels of texts (sequence classification, rerankers, labels that are asked for),
// of their tokens, entities, or of images.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include "models/text/python_text.hpp"
#include "models/text/unicode.hpp"
#include "tessera/cli/advice.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/image_input.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/text_job.hpp"
#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/entities.hpp"
#include "tessera/pipeline/label_writer.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/span_lines.hpp"
#include "tessera/pipeline/zero_shot.hpp"

namespace tessera::cli {
namespace {

struct Classify {
  ModelFlags model;
  TextFlags text;
  ImageFlags images;
  InputFlags input;
  std::string format;  // empty: by the output's name
  std::string output = "-";
  Index top_k = 0;                    // 0: not given
  std::string entities;               // empty: not given
  std::optional<Index> stride;        // of entities
  std::optional<std::string> labels;  // between commas
  std::string hypothesis = ZeroShot::kTemplate;
  bool is_multi_label = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command);

 private:
  using PackagePointer = std::shared_ptr<const models::Package>;
  // How records become sequences, and results lines.
  struct Way {
    Prepare prepare;
    std::function<std::string(const RecordResult&)> line;
  };
  bool is_jsonl() const noexcept { return format == "jsonl"; }
  void check_modes(const CLI::App& command, const models::Package& package) const;
  Way label_way(const PackagePointer& package, const Preparer& preparer, Index width) const;
  Way entity_way(const PackagePointer& package, const Preparer& preparer) const;
  Way zero_shot_way(const PackagePointer& package, const Preparer& preparer) const;
  void run_texts(const CLI::App& command, const PackagePointer& package,
                 EncoderOptions options) const;
  void run_images(const PackagePointer& package, EncoderOptions options) const;
};

/// Throws Error for what makes places in the text as given others than the tokenizer's.
void require_places(const models::Package& package, const TextInputs* texts) {
  if (texts == nullptr || (texts->prompt().empty() && !package.lower_case_first)) return;
  throw Error(ErrorCode::unsupported_model,
              fmt::format("{}: offsets of labelled tokens are those of the text as given, expected "
                          "no prompt and no do_lower_case (--ids works)",
                          package.directory.string()));
}

void require_no_pair(const Record& record) {
  if (!record.pair) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: got a pair, expected one text", record.where));
}

/// "a, b" → "a", "b", as the reference takes them.
std::vector<std::string> between_commas(const std::string& labels) {
  std::vector<std::string> out;
  for (std::size_t from = 0; from <= labels.size();) {
    const std::size_t to = std::min(labels.find(',', from), labels.size());
    const std::string_view label = text::stripped(std::string_view(labels).substr(from, to - from));
    if (!label.empty()) out.emplace_back(label);
    from = to + 1;
  }
  return out;
}

Classify::Way Classify::label_way(const PackagePointer& package, const Preparer& preparer,
                                  Index width) const {
  const bool is_per_token = package->task == models::Task::token_classification;
  if (is_per_token) require_places(*package, preparer.texts());
  return {.prepare = preparer.function(),
          .line = [is_per_token, writer = LabelWriter(*package, width, is_jsonl(), top_k)](
                      const RecordResult& result) {
            const RecordPart& part = result.parts[0];
            if (!is_per_token) return writer.line(result.output().row(0));
            return writer.token_lines(result.record.text, part.encoding, part.sequence.ids,
                                      result.output());
          }};
}

Classify::Way Classify::entity_way(const PackagePointer& package, const Preparer& preparer) const {
  require_places(*package, preparer.texts());
  const EntityFinder finder(*package->tokenizer, package->labels,
                            grouping_from_string(entities).value());
  return {.prepare =
              [this, package, &preparer](const Record& record, std::vector<Prepared>& parts) {
                if (!stride) {
                  parts.push_back(preparer.prepare(record));
                  return;
                }
                require_no_pair(record);
                about(record.where, [&] {
                  for (text::Encoding& window : preparer.texts()->encode_windows(
                           record.text, {}, static_cast<std::size_t>(*stride))) {
                    TokenSequence sequence = to_sequence(require_tokens(package->program), window);
                    parts.push_back({std::move(sequence), std::move(window)});
                  }
                });
              },
          .line =
              [this, finder](const RecordResult& result) {
                const std::string given = text::replace_invalid_utf8(result.record.text);
                std::vector<EntityWindow> windows;
                for (const RecordPart& part : result.parts) {
                  windows.push_back({part.encoding, part.outputs[0]});
                }
                return entity_lines(given, finder(given, windows), is_jsonl());
              }};
}

Classify::Way Classify::zero_shot_way(const PackagePointer& package,
                                      const Preparer& preparer) const {
  const auto zero_shot =
      std::make_shared<ZeroShot>(*package, between_commas(*labels), hypothesis, is_multi_label);
  return {.prepare =
              [package, zero_shot, &preparer](const Record& record, std::vector<Prepared>& parts) {
                require_no_pair(record);
                about(record.where, [&] {
                  const PairFirst premise = preparer.texts()->pair_start(record.text);
                  for (const std::string& each : zero_shot->hypotheses()) {
                    text::Encoding encoding = preparer.texts()->encode(premise, each);
                    TokenSequence sequence =
                        to_sequence(require_tokens(package->program), encoding);
                    parts.push_back({std::move(sequence), std::move(encoding)});
                  }
                });
              },
          .line =
              [this, zero_shot](const RecordResult& result) {
                std::vector<std::span<const float>> logits;
                for (const RecordPart& part : result.parts) {
                  logits.push_back(part.outputs[0].row(0));
                }
                const std::size_t shown = zero_shot->labels().size();
                return labels_line(zero_shot->labels(), (*zero_shot)(logits),
                                   top_k > 0 ? static_cast<std::size_t>(top_k) : shown, is_jsonl());
              }};
}

void Classify::run_texts(const CLI::App& command, const PackagePointer& package,
                         EncoderOptions options) const {
  TextFlags reading = text;
  if (labels && !reading.truncation) {  // so that the label is not cut
    reading.truncation = text::TruncationStrategy::only_first;
  }
  const Preparer preparer = make_preparer(command, *package, input, reading);
  RecordStream stream(input.inputs());
  OutputFile out(output);
  TextEncoder encoder(package, advised(model, *package, std::move(options)));
  const Way way = labels              ? zero_shot_way(package, preparer)
                  : !entities.empty() ? entity_way(package, preparer)
                                      : label_way(package, preparer, encoder.width());
  const RecordCounts counts = cli::run_texts(
      {.command = "classify", .label = "classifying", .shows_stats = images.shows_stats}, stream,
      way.prepare, preparer.texts(), encoder,
      {.result =
           [&](const RecordResult& result) {
             std::string line = way.line(result);
             out.write(is_jsonl() ? with_id(std::move(line), result.record.id, result.is_cut)
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

// Which flags go together, and with which models.
void Classify::check_modes(const CLI::App& command, const models::Package& package) const {
  if (labels && input.is_ids) throw UsageError("--labels: got --ids, expected texts");
  if (!entities.empty() && input.is_ids) throw UsageError("--entities: got --ids, expected texts");
  if (!labels) {
    require_none(command, {"--hypothesis", "--multi-label"}, "says how --labels are asked for");
  }
  if (labels) {  // before the weights are read
    ZeroShot(package, between_commas(*labels), hypothesis, is_multi_label);
  }
  if (entities.empty()) require_none(command, {"--stride"}, "is about --entities");
  if (entities.empty()) return;
  require_none(command, {"--top-k"}, "applies to labels, got --entities");
  if (stride && entities == "none") {
    throw UsageError("--stride: got --entities none, expected tokens that are put together");
  }
  about(model.model, [&] { require_labelled_tokens(package); });
}

void Classify::run(const CLI::App& command) {
  format = format_by_name(format, output, {"text", "jsonl"}, "text");
  input.require_ids_in(format);
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
        fmt::format(
            "{}: {} has no labels: got the outputs {}, expected logits of a class for sequence "
            "or token classification",
            model.model, package->architecture, listed_outputs(package->program)));
  }
  require_kind(command, *package);
  check_modes(command, *package);
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
  auto* grouping = add_choice(
      command, "--entities", entities, "GROUPING", {"none", "simple", "first", "average", "max"},
      "Models that label tokens: entities, not tokens: none (each token that has a label), simple "
      "(neighbours of one label), first, average, max (of words, whose tokens agree so)");
  add_option(command, "--stride", stride, "N",
             "Entities: texts that are too long are read in windows, of which each has the last N "
             "tokens of the one before (default: they are cut)")
      ->check(integer_between(0, kMany));
  add_option(command, "--labels", labels, "A,B,C",
             "Models of natural language inference: which of these labels hold")
      ->excludes(grouping);
  add_option(command, "--hypothesis", hypothesis, "TEXT",
             fmt::format("Labels: what is asked, {{}} being the label (default: {})",
                         ZeroShot::kTemplate));
  command.add_flag("--multi-label", is_multi_label,
                   "Labels: several may hold, each has a probability of its own");
  text.add_to(command);
  images.add_to(command);
  command.footer(
      "Probabilities are the softmax of the logits, or the sigmoid where config.json says\n"
      "multi_label_classification; a model with one logit (a reranker) gives sigmoid scores; a\n"
      "regression gives the logits. Models that label tokens give a line per token: begin, end,\n"
      "text, label, probability, and an empty line after each text; --entities likewise. begin "
      "and\n"
      "end count code points. Of images each line begins\n"
      "with the path. A file or a line that gives nothing is named on stderr and left out, and "
      "the\n"
      "exit status is 1.\n"
      "Examples:\n"
      "  echo 'What a lovely film' | tessera classify sentiment-model --top-k 2\n"
      "  printf 'query\\ta passage\\n' | tessera classify reranker --pairs\n"
      "  tessera classify reranker pairs.csv --column query --pair-column passage\n"
      "  tessera classify ner-model notes.txt --entities simple\n"
      "  tessera classify nli-model mails.txt --labels 'invoice, complaint, praise'\n"
      "  tessera classify vit photos/ portrait.png --top-k 5");
}

}  // namespace

void add_classify(CLI::App& root) {
  add_command<Classify>(root, "classify",
                        "Labels of texts and images, scores of pairs, labels of tokens");
}

}  // namespace tessera::cli
