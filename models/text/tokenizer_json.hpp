// SPDX-License-Identifier: Apache-2.0
// The parts of a tokenizer.json, one reader each.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/json.hpp"
#include "models/text/normalizer.hpp"
#include "models/text/pre_tokenizer.hpp"
#include "models/text/template.hpp"
#include "models/text/word_model.hpp"

namespace tessera::text {

struct AddedToken;
struct TokenizerConfig;

using json::Node;

/// Throws unsupported_model: the value at `node` is `got`, which Tessera does not implement.
[[noreturn]] void unsupported(const Node& node, std::string_view got, std::string_view expected);
/// Throws corrupt_file: the value at `node` is `got`, which the format does not have.
[[noreturn]] void invalid(const Node& node, std::string_view got, std::string_view expected);

/// The "type" of an object, or "".
std::string_view type_of(const Node& object);

/// An object of tokens and their ids.
Vocabulary read_vocabulary(const Node& vocab);
/// "a b" → a, b; nothing if the line is not two tokens.
std::optional<BytePairs::Merge> split_merge(std::string_view line);
Unigram read_unigram(const Node& model);
WordLevel read_word_level(const Node& model);
/// `byte_level`: byte pair encoding is of bytes.
WordModel read_model(const Node& model, bool byte_level);
/// Of a "Precompiled" normalizer.
PrecompiledNormalizer read_precompiled(const Node& node);
/// Of a "Metaspace" pre-tokenizer.
Metaspace read_metaspace(const Node& node);
/// Appends the steps of a "normalizer".
void read_normalizer(const Node& node, Normalizer& out);
/// Appends the rules of a "pre_tokenizer".
void read_pre_tokenizer(const Node& node, PreTokenizer& out);
SplitBehavior read_behavior(const Node& node);
/// Of a "Split" pre-tokenizer.
SplitRule read_split(const Node& node);
/// Of a "Replace" normalizer.
NormalizerStep read_replace(const Node& node);
/// Appends the rules of a "ByteLevel" pre-tokenizer.
void read_byte_level(const Node& node, PreTokenizer& out);
Template read_post_processor(const Node& node);

/// The added tokens of a tokenizer.json with those that `config` adds or changes.
std::vector<AddedToken> with_settings(std::vector<AddedToken> tokens, const TokenizerConfig& config,
                                      const Vocabulary& vocabulary);

}  // namespace tessera::text
