// SPDX-License-Identifier: Apache-2.0
// tokenizer.json, the format of Hugging Face tokenizers ("version": "1.0").
//
// The reference ignores the ids of added_tokens: a token has the id of the vocabulary, or the next
// free one. So does this.
#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "models/text/tokenizer_json.hpp"
#include "models/text/tokenizer_parts.hpp"

namespace tessera::text {
namespace {

Side read_side(const Node& object) {
  const auto direction = json::find(object, "direction");
  if (!direction) return Side::right;
  const std::string_view name = json::as_string(*direction);
  if (name == "Right") return Side::right;
  if (name == "Left") return Side::left;
  invalid(*direction, name, "\"Right\" or \"Left\"");
}

Truncation read_truncation(const Node& node) {
  Truncation t;
  t.max_length = json::as_size(json::require(node, "max_length", "an integer"));
  t.side = read_side(node);
  const Node strategy = json::require(node, "strategy", "LongestFirst, OnlyFirst or OnlySecond");
  const std::string_view name = json::as_string(strategy);
  if (name == "OnlyFirst") {
    t.strategy = TruncationStrategy::only_first;
  } else if (name == "OnlySecond") {
    t.strategy = TruncationStrategy::only_second;
  } else if (name != "LongestFirst") {
    invalid(strategy, name, "LongestFirst, OnlyFirst or OnlySecond");
  }
  return t;  // the stride only matters for the overflowing parts, which nobody asks for here
}

Padding read_padding(const Node& node) {
  Padding p;
  p.side = read_side(node);
  const Node strategy = json::require(node, "strategy", "\"BatchLongest\" or {\"Fixed\": length}");
  if (strategy.value.is_object()) {
    p.fixed_length = json::as_size(json::require(strategy, "Fixed", "an integer"));
  }
  if (const auto x = json::find(node, "pad_to_multiple_of")) p.multiple_of = json::as_size(*x);
  if (const auto x = json::find(node, "pad_id")) p.id = json::as_id(*x);
  if (const auto x = json::find(node, "pad_type_id")) p.type_id = json::as_id(*x);
  return p;
}

std::vector<AddedToken> read_added_tokens(const Node& node) {
  std::vector<AddedToken> out;
  std::size_t i = 0;
  for (const auto value : json::as_array(node)) {
    const Node token = json::item(node, i++, value);
    AddedToken t;
    t.content = json::as_string(json::require(token, "content", "a string"));
    t.special = json::bool_or(token, "special", false);
    t.single_word = json::bool_or(token, "single_word", false);
    t.lstrip = json::bool_or(token, "lstrip", false);
    t.rstrip = json::bool_or(token, "rstrip", false);
    t.normalized = json::bool_or(token, "normalized", !t.special);
    out.push_back(std::move(t));
  }
  return out;
}

}  // namespace

std::shared_ptr<TokenizerParts> read_tokenizer_json(const std::filesystem::path& file,
                                                    const TokenizerConfig& config) {
  const auto document = json::Document::read(file);
  const Node& root = document.root();
  if (const auto version = json::find(root, "version")) {
    const std::string_view name = json::as_string(*version);
    if (name != "1.0") unsupported(*version, name, "\"1.0\"");
  }
  PreTokenizer pre_tokenizer;
  LoneSteps lone;
  if (const auto node = json::find(root, "pre_tokenizer")) {
    read_pre_tokenizer(*node, pre_tokenizer);
    lone.byte_level = type_of(*node) == "ByteLevel";
  }
  auto parts = std::make_shared<TokenizerParts>(
      read_model(json::require(root, "model", "an object"), pre_tokenizer.ends_in_bytes()));
  parts->info.file = "tokenizer.json";
  if (const auto node = json::find(root, "normalizer")) {
    read_normalizer(*node, parts->normalizer);
    lone.bert_normalizer = parts->normalizer.as_bert() != nullptr && type_of(*node) != "Sequence";
  }
  if (parts->model.is_byte_level()) pre_tokenizer.rules.pop_back();
  parts->pre_tokenizer = std::move(pre_tokenizer);
  const auto post = json::find(root, "post_processor");
  parts->post = post ? read_post_processor(*post) : Template::none();
  if (const auto node = json::find(root, "truncation")) {
    parts->info.truncation = read_truncation(*node);
  }
  if (const auto node = json::find(root, "padding")) parts->padding = read_padding(*node);
  apply_settings(config, lone, *parts);
  std::vector<AddedToken> added;
  if (const auto node = json::find(root, "added_tokens")) added = read_added_tokens(*node);
  const Vocabulary& vocabulary = parts->model.vocabulary();
  parts->added.add(with_settings(std::move(added), config, vocabulary), vocabulary,
                   parts->normalizer);
  return parts;
}

}  // namespace tessera::text
