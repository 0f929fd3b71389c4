// SPDX-License-Identifier: Apache-2.0
// The parts of a tokenizer.json that come from SentencePiece (Unigram, Precompiled, Metaspace), and
// WordLevel.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/text/base64.hpp"
#include "models/text/tokenizer_json.hpp"
#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

/// A score as the reference reads it (serde_json without float_roundtrip): digits as an integer, made a
/// double, over a power of ten. Of 17 digits that may be the neighbour of the nearest double, which
/// decides between paths whose sums are otherwise equal. The digits are those of the shortest decimal
/// that means `score`, as files are written.
double as_the_reference_reads(double score) noexcept {
  constexpr int kExactPowers = 22;  // of ten, as doubles
  std::array<char, 32> text{};      // "-1.234e+05"
  const auto written =
      std::to_chars(text.begin(), text.end(), score, std::chars_format::scientific);
  std::uint64_t digits = 0;
  int power = 0;
  const char* at = text.begin();
  for (bool is_behind_point = false; at != written.ptr && *at != 'e'; ++at) {
    if (*at == '-') continue;
    if (*at == '.') {
      is_behind_point = true;
      continue;
    }
    digits = 10 * digits + static_cast<std::uint64_t>(*at - '0');
    power -= is_behind_point ? 1 : 0;
  }
  if (at == written.ptr) return score;
  int exponent = 0;
  at += at[1] == '+' ? 2 : 1;
  std::from_chars(at, written.ptr, exponent);
  power += exponent;
  if (power >= 0 || power < -kExactPowers) return score;
  double scale = 1.0;
  for (int k = 0; k < -power; ++k) scale *= 10.0;
  return std::copysign(static_cast<double>(digits) / scale, score);
}

// [piece, score]
ScoredPiece read_piece(const Node& vocab, std::size_t i, json::Value value) {
  json::Array pair;
  std::string_view piece;
  double score = 0;
  if (!value.get(pair) || pair.size() != 2 || !pair[0].get(piece) || !pair[1].get(score)) {
    wrong(item(vocab, i, value), "a piece and its score");
  }
  return {std::string(piece), as_the_reference_reads(score)};
}

}  // namespace

Unigram read_unigram(const Node& model) {
  const Node vocab = require(model, "vocab", "an array of pieces and their scores");
  std::vector<ScoredPiece> pieces;
  for (const auto value : as_array(vocab)) {
    if (pieces.size() == Unigram::kMaxPieces) {
      json::complain(ErrorCode::corrupt_file, vocab.where, "longer",
                     fmt::format("at most {} pieces", Unigram::kMaxPieces));
    }
    pieces.push_back(read_piece(vocab, pieces.size(), value));
  }
  if (pieces.empty()) {
    json::complain(ErrorCode::corrupt_file, vocab.where, "empty", "at least one piece");
  }
  std::optional<std::int32_t> unk_id;
  if (const auto node = find(model, "unk_id")) {
    const auto last = static_cast<std::int64_t>(pieces.size()) - 1;
    unk_id = static_cast<std::int32_t>(as_integer(
        *node, 0, last, fmt::format("the place of one of the {} pieces", pieces.size())));
  }
  return Unigram(pieces, unk_id, bool_or(model, "byte_fallback", false));
}

WordLevel read_word_level(const Node& model) {
  const auto unk = find(model, "unk_token");
  return WordLevel(read_vocabulary(require(model, "vocab", "an object of tokens and their ids")),
                   unk ? std::string(as_string(*unk)) : "<unk>");
}

PrecompiledNormalizer read_precompiled(const Node& node) {
  const Node map = require(node, "precompiled_charsmap", "a map in base64");
  const auto bytes = decode_base64(as_string(map));
  if (!bytes) json::complain(ErrorCode::corrupt_file, map.where, "no base64", "a map in base64");
  return {std::make_shared<const Charsmap>(*bytes, map.where)};
}

Metaspace read_metaspace(const Node& node) {
  Metaspace out;
  const Node replacement = require(node, "replacement", "one character");
  const std::string_view text = as_string(replacement);
  if (count_code_points(text) != 1) invalid(replacement, text, "one character");
  out.replacement = decode_utf8(text.data()).c;
  out.splits = bool_or(node, "split", true);
  if (const auto scheme = find(node, "prepend_scheme")) {
    const std::string_view name = as_string(*scheme);
    if (name == "first") {
      out.prepend = PrependScheme::first;
    } else if (name == "never") {
      out.prepend = PrependScheme::never;
    } else if (name != "always") {
      invalid(*scheme, name, "always, first or never");
    }
  }
  // The older key: true says nothing, and false "never", which the newer one must not contradict.
  const bool adds = bool_or(node, "add_prefix_space", true);
  if (!adds && find(node, "prepend_scheme") && out.prepend != PrependScheme::never) {
    json::complain(ErrorCode::corrupt_file, node.where + ".add_prefix_space", "false",
                   "true, or \"never\" as prepend_scheme");
  }
  if (!adds) out.prepend = PrependScheme::never;
  return out;
}

}  // namespace tessera::text
