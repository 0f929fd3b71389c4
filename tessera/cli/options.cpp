// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "kernels/isa.hpp"
#include "runtime/plan/plan_file.hpp"
#include "tessera/cli/failure.hpp"

namespace tessera::cli {
namespace {

constexpr std::int64_t kMostThreads = 1024;
constexpr std::int64_t kMostBatchTokens = std::int64_t{1} << 20;

const std::vector<std::string> kStrategies{"longest_first", "only_first", "only_second", "none"};

}  // namespace

CLI::Validator integer_between(std::int64_t least, std::int64_t most) {
  return CLI::Validator(
      [least, most](std::string& text) {
        std::int64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto parsed = std::from_chars(text.data(), end, value);
        const bool is_good =
            parsed.ec == std::errc{} && parsed.ptr == end && value >= least && value <= most;
        if (is_good) return std::string();
        return fmt::format("got '{}', expected an integer from {} to {}", text, least, most);
      },
      "");
}

CLI::Validator one_of(std::vector<std::string> values) {
  return CLI::Validator(
      [values = std::move(values)](std::string& text) {
        if (std::find(values.begin(), values.end(), text) != values.end()) return std::string();
        return fmt::format("got '{}', expected one of {}", text, fmt::join(values, ", "));
      },
      "");
}

void ModelFlags::add_to(CLI::App& command) {
  command.add_option("MODEL", model, "Directory of the checkpoint, as published")
      ->required()
      ->type_name("DIR");
  command
      .add_option("--class", architecture,
                  "Use this class instead of config.json's, e.g. BertModel")
      ->type_name("NAME");
  command
      .add_option("--threads", threads, "Worker threads (default: all that the process may use)")
      ->check(integer_between(1, kMostThreads))
      ->type_name("N");
  std::vector<std::string> levels;
  for (const Isa level : kAllIsas) levels.emplace_back(to_string(level));
  command
      .add_option(
          "--isa", isa,
          fmt::format("Instruction set: {} (default: the best here)", fmt::join(levels, ", ")))
      ->check(one_of(levels))
      ->type_name("LEVEL");
  command
      .add_option("--batch-tokens", batch_tokens, "Most tokens computed together (default: 4096)")
      ->check(integer_between(1, kMostBatchTokens))
      ->type_name("N");
}

void ModelFlags::add_onednn_to(CLI::App& command) {
  command.add_flag("--allow-onednn", allow_onednn,
                   "Let oneDNN run linears where it measures faster: last bits then depend on the "
                   "batch");
}

void ModelFlags::add_forced_to(CLI::App& command) {
  std::vector<std::string> orders, dataflows;
  for (const LoopOrder order : kLoopOrders) orders.emplace_back(option_name(order));
  for (const auto dataflow : kAllDataflows) dataflows.emplace_back(to_string(dataflow));
  command
      .add_option("--loop-order", loop_order,
                  fmt::format("Every linear in this order instead of the best: {}",
                              fmt::join(orders, ", ")))
      ->check(one_of(orders))
      ->type_name("ORDER");
  command
      .add_option("--attention", attention,
                  fmt::format("Every attention in this dataflow instead of the best: {}",
                              fmt::join(dataflows, ", ")))
      ->check(one_of(dataflows))
      ->type_name("NAME");
}

void ModelFlags::add_plan_to(CLI::App& command) {
  add_onednn_to(command);
  auto* file = command.add_option("--plan", plan, "Run this plan, saved by `tessera plan --save`")
                   ->type_name("FILE");
  add_forced_to(command);
  for (const char* name : {"--loop-order", "--attention"}) command.get_option(name)->excludes(file);
}

std::shared_ptr<const models::Package> ModelFlags::open_package() const {
  return std::make_shared<const models::Package>(
      models::open_package(model, {.architecture = architecture}));
}

EncoderOptions ModelFlags::encoder_options(std::vector<std::string> outputs) const {
  EncoderOptions options;
  options.threads = threads;
  options.allow_onednn = allow_onednn;
  if (!plan.empty()) options.plan = std::make_shared<const Plan>(load_plan(plan));
  for (const LoopOrder order : kLoopOrders) {
    if (loop_order == option_name(order)) options.loop_order = order;
  }
  for (const auto dataflow : kAllDataflows) {
    if (attention == to_string(dataflow)) options.attention = dataflow;
  }
  if (!isa.empty()) {
    options.isa = isa_from_string(isa);
    if (!options.isa || !cpu_supports(*options.isa)) {
      throw UsageError(
          fmt::format("--isa: got '{}', expected one that this CPU supports, up to '{}'", isa,
                      to_string(best_isa())));
    }
  }
  if (batch_tokens != 0) options.batch_tokens = batch_tokens;
  options.outputs = std::move(outputs);
  return options;
}

// How many sequences the rows are in: as asked, else as few as the model takes.
Index count_sequences(Index rows, Index asked, Index max_tokens) {
  const Index least = (rows + max_tokens - 1) / max_tokens;
  const Index sequences = asked > 0 ? asked : least;
  if (sequences > rows) {
    throw UsageError(
        fmt::format("--sequences: got {}, expected at most {}, one row each", sequences, rows));
  }
  if (sequences < least) {
    throw UsageError(fmt::format(
        "--sequences: got {}, expected at least {}: the model takes {} tokens a sequence",
        sequences, least, max_tokens));
  }
  return sequences;
}

BatchShape batch_shape(const Program& program, Index rows, Index sequences) {
  if (const TokenSpec* tokens = program.tokens()) {
    return {rows, count_sequences(rows, sequences, tokens->max_tokens)};
  }
  const Index each = require_images(program).native_rows();
  const Index images = sequences > 0 ? sequences : std::max<Index>(1, rows / each);
  return {images * each, images};
}

// The reference's names too: `--truncation` alone (its "true") and do_not_truncate.
CLI::Validator strategy_name() {
  return CLI::Validator(
      [](std::string& text) {
        if (text.empty() || text == "{}" || text == "true") text = "longest_first";
        if (text == "do_not_truncate" || text == "false") text = "none";
        return one_of(kStrategies)(text);
      },
      "");
}

std::optional<text::TruncationStrategy> strategy_from_string(const std::string& name) {
  if (name == "longest_first") return text::TruncationStrategy::longest_first;
  if (name == "only_first") return text::TruncationStrategy::only_first;
  if (name == "only_second") return text::TruncationStrategy::only_second;
  if (name == "none") return text::TruncationStrategy::do_not_truncate;
  return std::nullopt;
}

text::Side side_from_string(const std::string& name) {
  return name == "left" ? text::Side::left : text::Side::right;
}

void TextFlags::add_truncation_to(CLI::App& command) {
  command.add_option("--max-length", max_length, "Cut texts to N tokens, special tokens included")
      ->check(integer_between(1, std::int64_t{1} << 30))
      ->type_name("N");
  command
      .add_option("--truncation", truncation,
                  fmt::format("What to cut: {} (default: as the model's files say)",
                              fmt::join(kStrategies, ", ")))
      ->transform(strategy_name())
      ->expected(0, 1)
      ->type_name("STRATEGY");
  command.add_option("--truncation-side", truncation_side, "Which end to cut off: right, left")
      ->check(one_of({"right", "left"}))
      ->type_name("SIDE");
}

void TextFlags::add_to(CLI::App& command) {
  add_truncation_to(command);
  auto* text =
      command.add_option("--prompt", prompt, "Put TEXT before every input")->type_name("TEXT");
  command
      .add_option("--prompt-name", prompt_name,
                  "Put the prompt that the model's files call NAME before every input")
      ->type_name("NAME")
      ->excludes(text);
}

TextOptions TextFlags::text_options() const {
  TextOptions options;
  options.max_length = max_length;
  if (truncation) options.truncation = strategy_from_string(*truncation);
  if (truncation_side) options.truncation_side = side_from_string(*truncation_side);
  options.prompt = prompt;
  options.prompt_name = prompt_name;
  return options;
}

void TextFlags::require_none(const std::string& reason) const {
  const char* given = max_length        ? "--max-length"
                      : truncation      ? "--truncation"
                      : truncation_side ? "--truncation-side"
                      : prompt          ? "--prompt"
                      : prompt_name     ? "--prompt-name"
                                        : nullptr;
  if (given != nullptr) throw UsageError(fmt::format("{}: {}", given, reason));
}

void InputFlags::add_file_to(CLI::App& command) {
  command.add_option("FILE", file, "Input, one text per line ('-' or none: stdin)")->type_name("");
}

void InputFlags::add_files_to(CLI::App& command) {
  command
      .add_option("FILE", files,
                  "Texts: input, one per line ('-' or none: stdin); images: files and directories")
      ->type_name("");
}

InputFlags InputFlags::of_text() const {
  if (files.size() > 1) {
    throw UsageError(
        fmt::format("got {} files, expected one: the model takes texts", files.size()));
  }
  InputFlags one = *this;
  if (!files.empty()) one.file = files.front();
  return one;
}

void InputFlags::require_none(const std::string& reason) const {
  const char* given = is_jsonl ? "--jsonl" : is_ids ? "--ids" : is_pairs ? "--pairs" : nullptr;
  if (given != nullptr) throw UsageError(fmt::format("{}: {}", given, reason));
}

void InputFlags::add_format_to(CLI::App& command, bool with_pairs) {
  auto* jsonl =
      command.add_flag("--jsonl", is_jsonl,
                       "Each line is {\"text\": ..., \"pair\": ...} (implied by a name in .jsonl)");
  auto* ids = command.add_flag("--ids", is_ids,
                               "Each line is token ids between blanks or commas, or "
                               "{\"ids\": [...], \"type_ids\": [...]}; needs no tokenizer");
  ids->excludes(jsonl);
  if (!with_pairs) return;
  auto* pairs = command.add_flag("--pairs", is_pairs, "Each line is a text, a tab, a second text");
  pairs->excludes(jsonl)->excludes(ids);
}

}  // namespace tessera::cli
