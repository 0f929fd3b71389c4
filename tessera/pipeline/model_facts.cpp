// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/model_facts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "kernels/kernel_table.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tessera/pipeline/json_text.hpp"

namespace tessera {
namespace {

// "F32 (103 tensors), I64 (1 tensor)"
std::string stored_types(const Checkpoint& checkpoint) {
  std::map<std::string, std::size_t> counts;
  for (const StoredTensor* tensor : checkpoint.tensors()) ++counts[to_string(tensor->type)];
  std::vector<std::string> parts;
  for (const auto& [type, count] : counts) {
    parts.push_back(fmt::format("{} ({} tensor{})", type, count, count == 1 ? "" : "s"));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// hidden_states.0, …, hidden_states.12 as one entry.
std::vector<std::string> names_of_outputs(const Program& program) {
  std::vector<std::string> names;
  std::string last_state;
  for (const Output& output : program.outputs) {
    if (output.name.starts_with("hidden_states.")) {
      last_state = output.name;
    } else {
      const Value& value = program.values[static_cast<std::size_t>(output.value)];
      names.push_back(fmt::format("{} ({}, {})", output.name,
                                  value.space == kTokens ? "tokens"
                                  : value.space != kSequences
                                      ? "cells of " + program.spaces[at(value.space)].name
                                  : program.tokens() != nullptr ? "texts"
                                                                : name_of(program.inputs),
                                  value.width));
    }
  }
  if (!last_state.empty()) names.push_back("hidden_states.0 to " + last_state);
  return names;
}

std::string tokenizer_text(const models::Package& package) {
  if (!package.tokenizer) return "none: " + package.tokenizer_problem;
  const text::TokenizerInfo& info = package.tokenizer->info();
  std::string out =
      fmt::format("{} from {}, {} tokens", info.model, info.file, package.tokenizer->vocab_size());
  if (!info.normalizer.empty()) out += "; " + info.normalizer;
  if (!info.settings.empty()) out += "; " + info.settings;
  return out;
}

/// What is done to a text before and behind the tokenizer, and which file says so.
std::vector<std::string> done_to_texts(const models::Package& package) {
  std::vector<std::string> done;
  if (!package.adds_special_tokens) done.emplace_back("no special tokens");
  if (package.static_model_texts) done.emplace_back("without unknown tokens (model2vec)");
  if (package.strips_texts) done.emplace_back("stripped of white space (modules.json)");
  if (package.lower_case_first) done.emplace_back("lower case (sentence_bert_config.json)");
  if (package.text_padding) {
    done.push_back(fmt::format("padded to {} with id {} on the {} (SigLIP)", package.max_tokens,
                               package.text_padding->id.value_or(0),
                               text::to_string(package.text_padding->side)));
  }
  if (package.tokenizer && !package.tokenizer->gives_type_ids() &&
      package.program.tokens()->type_vocab_size > 1) {
    done.emplace_back("no type ids (model_input_names or the tokenizer's class)");
  }
  return done;
}

void describe_inputs(const models::Package&, const ImageSpec& images, ModelFacts& facts) {
  facts.add("image_size", fmt::format("{} x {} (height x width)", images.height, images.width));
  facts.add("image_channels", static_cast<std::size_t>(images.channels));
  facts.add("patch_size", fmt::format("{} x {}", images.patch_height, images.patch_width));
  facts.add("tokens_per_image",
            fmt::format("{}: {} x {} patches, {} special", images.native_rows(), images.grid_rows(),
                        images.grid_cols(), images.special_tokens));
  facts.add("other_sizes", images.sizes == ImageSizes::native ? "none"
                           : images.sizes == ImageSizes::on_asking
                               ? "on asking, positions interpolated"
                           : images.resize == PositionResize::none ? "any"
                                                                   : "any, positions interpolated");
}

void describe_inputs(const models::Package& package, const TokenSpec& tokens, ModelFacts& facts) {
  const auto extent = [](Index value) { return static_cast<std::size_t>(value); };
  facts.add("vocabulary", extent(tokens.vocab_size));
  facts.add("token_types", extent(tokens.type_vocab_size));
  facts.add("max_tokens", extent(package.max_tokens));
  facts.add("max_tokens_from", package.max_tokens_from);
  if (tokens.max_tokens != kAnyLength) facts.add("position_table", extent(tokens.max_tokens));
  facts.add("tokenizer", tokenizer_text(package));
  if (const auto done = done_to_texts(package); !done.empty()) facts.add("texts", done);
}

/// What a run takes beside weights and arena, which the promise leaves out.
std::string not_counted(const models::Package& package, const EncoderOptions& options) {
  const Program& program = package.program;
  const std::int32_t output = program.find_output(options.session.outputs.front());
  if (output == kNone) return "inputs and outputs of a run, the tokenizer";
  const Value& value = program.values[static_cast<std::size_t>(
      program.outputs[static_cast<std::size_t>(output)].value)];
  const Index rows =
      most_extents(program.spaces, options.batch_tokens,
                   std::min(options.batch_sequences, options.batch_tokens))[at(value.space)]
          .rows;
  return fmt::format(
      "the caller's inputs and outputs (of a full batch {} rows of {} floats, {:.1f} "
      "MiB), the tokenizer, the files of a stream that wait for their turn",
      rows, value.width, static_cast<double>(rows) * static_cast<double>(value.width) * 4 / 0x1p20);
}

/// What the same takes in `other`: bytes, and the ratio of two rates. Time is of a batch: `tessera
/// plan` says it.
void add_other_precision(const models::Package& package, EncoderOptions options, Precision other,
                         Index longest, ModelFacts& facts) {
  const Isa isa = resolve_isa(options.model.isa, other);
  if (kernels::kernels_at(isa).gemm[other].run == nullptr) return;
  const Precision faster = other == Precision::f32 ? precision_to_ask(options.precision) : other;
  options.precision = other == Precision::f32    ? PrecisionOption::fp32
                      : other == Precision::bf16 ? PrecisionOption::bf16
                                                 : PrecisionOption::int8;
  const MemoryBytes bytes = memory_bytes(package, options, longest);
  facts.add("other_precision",
            fmt::format(
                "{} ({})", option_name(other),
                describe_speed(faster, rates_of_bf16(options.model.isa, *options.session.rates))));
  facts.add_bytes("other_weights_packed_bytes", bytes.weights_packed);
  facts.add_bytes("other_arena_bytes", bytes.arena);
}

/// What a session of one text, or image, takes within `cap`.
std::string what_fits(const models::Package& package, EncoderOptions options, std::size_t cap) {
  options.session.memory_cap_bytes = cap;
  constexpr Index kLongest = Index{1} << 20;  // of what has no limit of its own
  const ImageSpec* images = package.program.images();
  const bool has_limit =
      images == nullptr ? package.max_tokens < kAnyLength : images->sizes == ImageSizes::native;
  const Index rows =
      longest_within_cap(package, options, has_limit ? package.max_tokens : kLongest);
  if (package.program.tokens() != nullptr) {
    return rows == 0 ? "no text" : fmt::format("a text of up to {} tokens", rows);
  }
  const Index native = require_images(package.program).native_rows();
  return rows < native ? fmt::format("no image of the native size, of {} tokens", native)
                       : fmt::format("an image of up to {} tokens", rows);
}

/// "queries of 32 tokens, filled up with [MASK], which nobody attends to; documents of …"
std::string late_interaction(const models::Package& package) {
  const models::MultiVector& reads = *package.multi_vector;
  const auto length = [](const std::optional<Index>& tokens) {
    return tokens ? fmt::format("up to {}", *tokens) : std::string("any number of");
  };
  std::string queries = length(reads.query_length) + " tokens";
  if (reads.expansion && package.tokenizer) {
    const models::QueryExpansion& by = *reads.expansion;
    queries = fmt::format("{}{} tokens, filled up with {}, which are {}attended to",
                          by.is_fixed ? "" : "at least ", by.length,
                          package.tokenizer->token(reads.expansion_id), by.attends ? "" : "not ");
  }
  return fmt::format("queries of {}; documents of {} tokens; {} tokens without a vector", queries,
                     length(reads.document_length), reads.skipped.size());
}

}  // namespace

void ModelFacts::add(std::string key, std::string_view value) {
  std::string json;
  append_json_string(json, value);
  facts_.push_back({std::move(key), std::string(value), std::move(json)});
}

void ModelFacts::add(std::string key, std::size_t value) {
  const std::string digits = std::to_string(value);
  facts_.push_back({std::move(key), digits, digits});
}

void ModelFacts::add_bytes(std::string key, std::size_t value) {
  std::string text =
      fmt::format("{} bytes ({:.1f} MiB)", value, static_cast<double>(value) / 0x1p20);
  facts_.push_back({std::move(key), std::move(text), std::to_string(value)});
}

void ModelFacts::add(std::string key, const std::vector<std::string>& values) {
  std::string json = "[";
  for (const std::string& value : values) {
    if (json.size() > 1) json += ", ";
    append_json_string(json, value);
  }
  facts_.push_back({std::move(key), fmt::format("{}", fmt::join(values, ", ")), json + "]"});
}

std::string ModelFacts::as_text() const {
  std::size_t width = 0;
  for (const Fact& fact : facts_) width = std::max(width, fact.key.size());
  std::string out;
  for (const Fact& fact : facts_) {
    fmt::format_to(std::back_inserter(out), "{:<{}}  {}\n", fact.key, width, fact.text);
  }
  return out;
}

std::string ModelFacts::as_json() const {
  std::string out = "{";
  for (const Fact& fact : facts_) {
    if (out.size() > 1) out += ", ";
    append_json_string(out, fact.key);
    out += ": " + fact.json;
  }
  return out + "}\n";
}

ModelFacts describe(const models::Package& package, EncoderOptions options) {
  const auto extent = [](Index value) { return static_cast<std::size_t>(value); };
  const Isa isa = resolve_isa(options.model.isa, precision_to_ask(options.precision));
  if (!options.session.rates) options.session.rates = resolve_rates(machine(), isa);
  ModelFacts facts;
  facts.add("directory", package.directory.string());
  facts.add("model_type", package.model_type);
  facts.add("architecture", package.architecture);
  if (!package.routes.empty()) {
    facts.add("route", package.route);
    facts.add("routes", package.routes);
  }
  if (package.similarity) {
    facts.add("tower", package.program.images() != nullptr ? "image" : "text");
    facts.add("towers", std::vector<std::string>{"image", "text"});
  }
  facts.add("layers", extent(package.layers));
  facts.add("hidden", extent(package.hidden));
  facts.add("heads", extent(package.heads));
  facts.add("intermediate", extent(package.intermediate));
  facts.add("parameters", parameter_count(package.program, {.outputs = options.session.outputs}));
  facts.add("stored_as", stored_types(*package.checkpoint));
  if (!package.stored_weights.empty()) facts.add("stored_weights", package.stored_weights);
  std::visit([&](const auto& spec) { describe_inputs(package, spec, facts); },
             package.program.inputs);
  facts.add("outputs", names_of_outputs(package.program));
  if (!package.labels.empty()) facts.add("labels", package.labels);
  if (!package.problem_type.empty()) facts.add("problem_type", package.problem_type);
  if (package.answer_tokens) {
    const models::AnswerTokens& answer = *package.answer_tokens;
    facts.add("logit",
              fmt::format("of token {}{} at the last token ({})", answer.yes,
                          answer.no ? fmt::format(" less that of token {}", *answer.no) : "",
                          answer.from));
  }
  if (package.pair_template) {
    facts.add("pairs",
              fmt::format("<Instruct>, <Query> and <Document> in a chat ({}); instruction, "
                          "unless --prompt says another: {}",
                          package.pair_template->from, package.pair_template->instruction));
  }
  if (package.score_activation) {
    facts.add("score_activation", fmt::format("{} ({})", to_string(*package.score_activation),
                                              package.score_activation_from));
  }
  if (!package.embedding_description.empty()) {
    facts.add("embedding",
              fmt::format("{}{}", package.embedding_description,
                          package.embedding_from_files ? "" : " (default, no files say)"));
  }
  std::vector<std::string> prompts;
  for (const auto& [name, prompt] : package.prompts) prompts.push_back(name);
  if (!prompts.empty()) facts.add("prompts", prompts);
  if (package.program.find_output("embedding") != kNone) {
    facts.add("similarity",
              package.similarity_measure
                  ? fmt::format("{} ({})", to_string(*package.similarity_measure),
                                package.similarity_from_files
                                    ? "similarity_fn_name of config_sentence_transformers.json"
                                    : "default of sparse embeddings, no files say")
                  : "cosine (default, no files say)");
  }
  if (package.multi_vector) {
    facts.add("similarity",
              package.multi_vector->is_mean ? "MaxSim / vectors of the query" : "MaxSim");
    facts.add("reads", late_interaction(package));
  }
  const PrecisionChoice precision = precision_of(package, options);
  facts.add("instruction_set", to_string(resolve_isa(options.model.isa, precision.precision)));
  facts.add("precision", fmt::format("{} ({})", option_name(precision.precision), precision.why));
  facts.add("computes", options.session.outputs.front());
  facts.add("batch_tokens", extent(options.batch_tokens));
  facts.add("batch_sequences", extent(options.batch_sequences));
  const TokenSpec* tokens = package.program.tokens();
  Index longest = tokens == nullptr ? package.max_tokens : tokens->max_tokens;
  if (longest == kAnyLength) longest = package.max_tokens;  // what texts are cut at
  if (longest == kAnyLength) longest = options.batch_tokens;
  const std::size_t cap = std::exchange(options.session.memory_cap_bytes, 0);
  const MemoryBytes bytes = memory_bytes(package, options, longest);
  facts.add_bytes("weights_packed_bytes", bytes.weights_packed);
  facts.add_bytes("weights_mapped_bytes", bytes.weights_mapped);
  facts.add_bytes("arena_bytes", bytes.arena);
  facts.add("not_counted", not_counted(package, options));
  if (cap > 0) {
    facts.add_bytes("memory_cap", cap);
    facts.add("fits", what_fits(package, options, cap));
  }
  add_other_precision(package, options, other_precision(precision.precision, *package.checkpoint),
                      longest, facts);
  return facts;
}

}  // namespace tessera
