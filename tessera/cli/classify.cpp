// SPDX-License-Identifier: Apache-2.0
// tessera classify: labels of texts (sequence classification, rerankers) or of their tokens.
//
//   one label per text (the default)    p = softmax(logits)
//   several labels per text             p_i = 1/(1 + exp(-logit_i))      problem_type
//   multi_label_classification one logit (rerankers)               score = 1/(1 + exp(-logit))
//   regression                          the logits themselves            problem_type regression
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <numeric>
#include <vector>

#include "models/text/unicode.hpp"
#include "runtime/error.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/json.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/cli/records.hpp"

namespace tessera::cli {
namespace {

constexpr std::size_t kWindow = 4096;  // records

struct Classify {
  ModelFlags model;
  TextFlags text;
  InputFlags input;
  std::string format = "text";
  std::string output = "-";
  Index top_k = 0;  // 0: not given

  void run() const;
};

enum class Scoring : std::uint8_t { softmax, sigmoid, score, regression };

Scoring scoring_of(const models::Package& package, Index width) {
  if (package.problem_type == "regression") return Scoring::regression;
  if (package.problem_type == "multi_label_classification") return Scoring::sigmoid;
  return width == 1 ? Scoring::score : Scoring::softmax;
}

double sigmoid(float x) noexcept {
  return 1.0 / (1.0 + std::exp(-double{x}));
}

// What the head says about one row of logits, as a number per label.
std::vector<double> scores_of(std::span<const float> logits, Scoring scoring) {
  std::vector<double> scores(logits.begin(), logits.end());
  if (scoring == Scoring::regression) return scores;
  if (scoring != Scoring::softmax) {
    std::transform(logits.begin(), logits.end(), scores.begin(), sigmoid);
    return scores;
  }
  const double highest = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (double& score : scores) sum += score = std::exp(score - highest);
  for (double& score : scores) score /= sum;
  return scores;
}

// The labels by falling score, ties by index.
std::vector<std::size_t> ranked(const std::vector<double>& scores, std::size_t count) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&scores](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(count, order.size()));
  return order;
}

class Formatter {
 public:
  Formatter(const models::Package& package, Index width, bool is_json, Index top_k)
      : labels_(package.labels), scoring_(scoring_of(package, width)), is_json_(is_json) {
    for (auto i = static_cast<Index>(labels_.size()); i < width; ++i) {
      labels_.push_back(fmt::format("LABEL_{}", i));
    }
    const bool shows_all = scoring_ == Scoring::sigmoid || scoring_ == Scoring::regression;
    const Index shown = top_k > 0 ? top_k : shows_all ? width : 1;
    shown_ = static_cast<std::size_t>(std::min(shown, width));
  }

  /// One line for a text.
  std::string sequence_line(std::span<const float> logits) const {
    const std::vector<double> scores = scores_of(logits, scoring_);
    std::string line;
    if (scoring_ == Scoring::score) {
      return is_json_ ? fmt::format("{{\"score\": {}, \"logit\": {}}}\n", number(scores[0]),
                                    number(double{logits[0]}))
                      : fmt::format("{:.6f}\n", scores[0]);
    }
    const std::vector<std::size_t> order = ranked(scores, shown_);
    if (is_json_) line = "{\"labels\": [";
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (is_json_) {
        line += i == 0 ? "" : ", ";
        append_label(line, order[i], scores[order[i]]);
      } else {
        fmt::format_to(std::back_inserter(line), "{}{}\t{:.6f}", i == 0 ? "" : "\t",
                       labels_[order[i]], scores[order[i]]);
      }
    }
    line += is_json_ ? "]}\n" : "\n";
    return line;
  }

  /// The tokens of a text with their labels. Special tokens of the template are left out.
  std::string token_lines(const Record& record, const Prepared& prepared,
                          const TensorView<const float>& logits) const {
    const std::string text = text::replace_invalid_utf8(record.text);
    const text::Encoding& encoding = prepared.encoding;
    std::string out = is_json_ ? "{\"tokens\": [" : "";
    bool is_first = true;
    for (std::size_t i = 0; i < prepared.sequence.ids.size(); ++i) {
      if (encoding.size() != 0 && encoding.special_mask[i] != 0) continue;
      const std::vector<double> scores = scores_of(logits.row(static_cast<Index>(i)), scoring_);
      std::string_view covered;
      std::array<std::uint32_t, 2> offsets{};
      if (encoding.size() != 0) {
        offsets = encoding.offsets[i];
        covered = code_points(text, offsets[0], offsets[1]);
      }
      if (is_json_) {
        out += is_first ? "{" : ", {";
        if (encoding.size() != 0) {
          out += "\"text\": ";
          append_json_string(out, covered);
          fmt::format_to(std::back_inserter(out), ", \"begin\": {}, \"end\": {}, ", offsets[0],
                         offsets[1]);
        }
        fmt::format_to(std::back_inserter(out), "\"id\": {}, \"labels\": [",
                       prepared.sequence.ids[i]);
      } else if (encoding.size() != 0) {
        fmt::format_to(std::back_inserter(out), "{}\t{}\t{}", offsets[0], offsets[1], covered);
      } else {
        fmt::format_to(std::back_inserter(out), "{}\t{}", i, prepared.sequence.ids[i]);
      }
      bool is_first_label = true;
      for (const std::size_t label : ranked(scores, shown_)) {
        if (is_json_) {
          out += is_first_label ? "" : ", ";
          append_label(out, label, scores[label]);
        } else {
          fmt::format_to(std::back_inserter(out), "\t{}\t{:.6f}", labels_[label], scores[label]);
        }
        is_first_label = false;
      }
      out += is_json_ ? "]}" : "\n";
      is_first = false;
    }
    out += is_json_ ? "]}\n" : "\n";
    return out;
  }

 private:
  static std::string number(double value) {
    std::string out;
    append_json_float(out, static_cast<float>(value));
    return out;
  }

  void append_label(std::string& out, std::size_t label, double score) const {
    out += "{\"label\": ";
    append_json_string(out, labels_[label]);
    out += scoring_ == Scoring::regression ? ", \"value\": " : ", \"probability\": ";
    append_json_float(out, static_cast<float>(score));
    out += '}';
  }

  std::vector<std::string> labels_;
  Scoring scoring_;
  bool is_json_;
  std::size_t shown_ = 1;  // labels per line
};

void Classify::run() const {
  EncoderOptions options = model.encoder_options({"logits"});
  const std::shared_ptr<const models::Package> package = model.open_package();
  const bool is_per_token = package->task == models::Task::token_classification;
  if (!is_per_token && package->task != models::Task::sequence_classification) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: {} has no labels, expected a class for sequence or token classification",
                    model.model, package->architecture));
  }
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
  const Formatter formatter(*package, encoder.width(), format == "jsonl", top_k);

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
          lines[i] = is_per_token ? formatter.token_lines(window[i], prepared[i], results[0])
                                  : formatter.sequence_line(results[0].row(0));
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

}  // namespace

void add_classify(CLI::App& root) {
  auto* command =
      root.add_subcommand("classify", "Labels of texts, scores of pairs, labels of tokens");
  auto flags = std::make_shared<Classify>();
  flags->model.add_to(*command);
  flags->model.add_plan_to(*command);
  flags->input.add_file_to(*command);
  flags->input.add_format_to(*command, true);
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
  command->footer(
      "Probabilities are the softmax of the logits, or the sigmoid where config.json says\n"
      "multi_label_classification; a model with one logit (a reranker) gives sigmoid scores; a\n"
      "regression gives the logits. Models that label tokens give a line per token: begin, end,\n"
      "text, label, probability, and an empty line after each text.\n"
      "Examples:\n"
      "  echo 'What a lovely film' | tessera classify sentiment-model --top-k 2\n"
      "  printf 'query\\ta passage\\n' | tessera classify reranker --pairs");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
