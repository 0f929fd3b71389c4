// SPDX-License-Identifier: Apache-2.0
#include "models/text/unigram.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

constexpr double kUnknownPenalty = 10.0;
constexpr std::uint32_t kUnreached = 0xFFFFFFFF;

std::vector<ByteTrie::Key> sorted_keys(const Vocabulary& vocabulary) {
  std::vector<ByteTrie::Key> keys;
  keys.reserve(vocabulary.size());
  vocabulary.for_each([&](std::string_view piece, std::int32_t id) {
    // Nothing can be an empty piece; of two equal ones the vocabulary's id is the last.
    if (!piece.empty() && vocabulary.id(piece) == id) keys.push_back({piece, id});
  });
  std::sort(keys.begin(), keys.end(),
            [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  return keys;
}

[[noreturn]] void complain_of_unknown(std::string_view character, std::size_t piece_count) {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("tokenizer: the text has \"{}\", which is none of the {} pieces of the "
                          "vocabulary; expected pieces only, since the tokenizer's file has no "
                          "unk_id",
                          character, piece_count));
}

}  // namespace

Unigram::Unigram(const std::vector<ScoredPiece>& pieces, std::optional<std::int32_t> unk_id,
                 bool byte_fallback)
    : unk_id_(unk_id), byte_fallback_(byte_fallback) {
  scores_.reserve(pieces.size());
  for (const ScoredPiece& p : pieces) {
    vocabulary_.add(p.piece, static_cast<std::int32_t>(scores_.size()));
    scores_.push_back(p.score);
  }
  vocabulary_.finish();
  vocabulary_.set_next_id(pieces.size());  // the reference counts equal pieces, too
  trie_ = ByteTrie(sorted_keys(vocabulary_));
  unk_score_ = *std::min_element(scores_.begin(), scores_.end()) - kUnknownPenalty;
  for (std::size_t b = 0; b < byte_ids_.size(); ++b) {
    byte_ids_[b] = vocabulary_.id(fmt::format("<0x{:02X}>", b)).value_or(-1);
  }
}

void Unigram::find_best_path(std::string_view word, Scratch& scratch) const {
  std::vector<Scratch::Node>& best = scratch.best;
  best.assign(word.size() + 1, {0.0, kUnreached, 0});
  for (std::size_t begin = 0; begin < word.size();) {
    const double score_here = best[begin].score;
    const std::size_t length = decode_utf8(word.data() + begin).length;
    bool has_character = false;
    const auto is_better = [&](std::size_t end, double score) {
      return best[end].begin == kUnreached || score > best[end].score;
    };
    trie_.for_each_prefix(word.substr(begin), [&](std::size_t n, std::int32_t id) {
      const double score = scores_[static_cast<std::size_t>(id)] + score_here;
      if (is_better(begin + n, score)) {
        best[begin + n] = {score, static_cast<std::uint32_t>(begin), id};
      }
      has_character = has_character || n == length;
    });
    const double score = unk_score_ + score_here;
    if (!has_character && is_better(begin + length, score)) {
      if (!unk_id_) complain_of_unknown(word.substr(begin, length), vocabulary_.size());
      best[begin + length] = {score, static_cast<std::uint32_t>(begin), *unk_id_};
    }
    begin += length;
  }
}

void Unigram::push_unknown(std::string_view word, std::uint32_t begin, std::uint32_t end,
                           std::vector<WordToken>& tokens) const {
  const std::string_view run = word.substr(begin, end - begin);
  const std::optional<std::int32_t> known = vocabulary_.id(run);  // "<unk>" as written in the text
  const auto id_of_byte = [&](char b) { return byte_ids_[static_cast<unsigned char>(b)]; };
  const bool by_bytes =
      !known && byte_fallback_ &&
      std::all_of(run.begin(), run.end(), [&](char b) { return id_of_byte(b) >= 0; });
  if (!by_bytes) {
    tokens.push_back({known.value_or(*unk_id_), begin, end});
    return;
  }
  // Backwards, as the whole path is; every byte has the place of the run.
  for (auto b = run.rbegin(); b != run.rend(); ++b) tokens.push_back({id_of_byte(*b), begin, end});
}

void Unigram::tokenize(std::string_view word, Scratch& scratch) const {
  find_best_path(word, scratch);
  std::vector<WordToken>& tokens = scratch.tokens;
  tokens.clear();
  for (auto end = static_cast<std::uint32_t>(word.size()); end > 0;) {
    Scratch::Node node = scratch.best[end];
    if (node.id != unk_id_) {
      tokens.push_back({node.id, node.begin, end});
      end = node.begin;
      continue;
    }
    while (node.begin > 0 && scratch.best[node.begin].id == unk_id_) {
      node = scratch.best[node.begin];
    }
    push_unknown(word, node.begin, end, tokens);
    end = node.begin;
  }
  std::reverse(tokens.begin(), tokens.end());
}

}  // namespace tessera::text
