// SPDX-License-Identifier: Apache-2.0
// The model of a tokenizer.json: WordPiece and BPE here, the others in tokenizer_json_unigram.cpp.
//
// An old file has no model.type; what its members are tells the model.
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "models/text/tokenizer_json.hpp"

namespace tessera::text {
namespace {

std::string_view model_type(const Node& model) {
  const std::string_view type = type_of(model);
  if (!type.empty()) return type;
  if (find(model, "merges")) return "BPE";
  const Node vocab = require(model, "vocab", "the tokens and their ids");
  if (vocab.value.is_array()) return "Unigram";
  return find(model, "continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

WordPiece read_word_piece(const Node& model) {
  WordPieceConfig config;
  if (const auto node = find(model, "unk_token")) config.unk_token = as_string(*node);
  if (const auto node = find(model, "continuing_subword_prefix")) {
    config.continuing_subword_prefix = as_string(*node);
  }
  if (const auto node = find(model, "max_input_chars_per_word")) {
    config.max_input_chars_per_word = as_size(*node);
  }
  const Node vocab = require(model, "vocab", "an object of tokens and their ids");
  Vocabulary vocabulary = read_vocabulary(vocab);
  if (!vocabulary.id(config.unk_token)) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{} has no token \"{}\", expected the unk_token of the model",
                            vocab.where, config.unk_token));
  }
  return WordPiece(std::move(vocabulary), std::move(config));
}

// "a b", or ["a", "b"] in files of tokenizers 0.20 and later. What it is called is spelled where it is
// wrong only: there are tens of thousands.
BytePairs::Merge read_merge(const Node& list, std::size_t i, json::Value value) {
  std::string_view left, right;
  const json::Array pair = value.array();
  if (pair.size() == 2 && pair[0].get(left) && pair[1].get(right))
    return {std::string(left), std::string(right)};
  if (std::string_view line; value.get(line)) {
    if (auto split = split_merge(line)) return *std::move(split);
    wrong(item(list, i, value), "two tokens with a space between");
  }
  const Node merge = item(list, i, value);
  if (!value.is_array()) as_string(merge);  // complains
  if (pair.size() != 2) wrong(merge, "two tokens");
  const std::size_t other = pair[0].get(left) ? 1 : 0;
  wrong(item(merge, other, pair[other]), "a string");
}

std::string string_or_empty(const Node& model, std::string_view key) {
  const auto node = find(model, key);
  return node ? std::string(as_string(*node)) : std::string();
}

BytePairs read_byte_pairs(const Node& model, bool byte_level) {
  if (const auto node = find(model, "dropout"); node && as_number(*node) != 0) {
    unsupported(*node, json::shown(node->value), "null");
  }
  BytePairsConfig config;
  config.byte_level = byte_level;
  config.unk_token = string_or_empty(model, "unk_token");
  config.continuing_subword_prefix = string_or_empty(model, "continuing_subword_prefix");
  config.end_of_word_suffix = string_or_empty(model, "end_of_word_suffix");
  config.fuse_unk = bool_or(model, "fuse_unk", false);
  config.byte_fallback = bool_or(model, "byte_fallback", false);
  config.ignore_merges = bool_or(model, "ignore_merges", false);
  Vocabulary vocabulary =
      read_vocabulary(require(model, "vocab", "an object of tokens and their ids"));
  const Node list = require(model, "merges", "an array of pairs of tokens");
  const json::Array values = as_array(list);
  std::vector<BytePairs::Merge> merges;
  merges.reserve(values.size());
  for (const json::Value value : values) merges.push_back(read_merge(list, merges.size(), value));
  return BytePairs(std::move(vocabulary), merges, std::move(config), list.where);
}

}  // namespace

Vocabulary read_vocabulary(const Node& vocab) {
  const json::Object tokens = as_object(vocab);
  Vocabulary vocabulary;
  vocabulary.reserve(tokens.size());
  for (const auto& [token, value] : tokens) {
    std::int64_t id = -1;
    if (!value.get(id) || id < 0 || id >= INT32_MAX) {
      id = json::as_id({fmt::format("{}[\"{}\"]", vocab.where, token), value});  // complains
    }
    vocabulary.add(token, static_cast<std::int32_t>(id));
  }
  vocabulary.finish();
  return vocabulary;
}

std::optional<BytePairs::Merge> split_merge(std::string_view line) {
  const std::size_t space = line.find(' ');
  const bool is_pair = space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
                       line.find(' ', space + 1) == std::string_view::npos;
  if (!is_pair) return std::nullopt;
  return BytePairs::Merge(line.substr(0, space), line.substr(space + 1));
}

WordModel read_model(const Node& model, bool byte_level) {
  const std::string_view type = model_type(model);
  if (type == "WordPiece") return WordModel(read_word_piece(model));
  if (type == "BPE") return WordModel(read_byte_pairs(model, byte_level));
  if (type == "Unigram") return WordModel(read_unigram(model));
  if (type == "WordLevel") return WordModel(read_word_level(model));
  unsupported({model.where + ".type", model.value}, type,
              "\"WordPiece\", \"BPE\", \"Unigram\" or \"WordLevel\"");
}

}  // namespace tessera::text
