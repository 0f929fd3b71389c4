// SPDX-License-Identifier: Apache-2.0
#include "models/text/byte_pairs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/text/byte_alphabet.hpp"
#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

// The earliest merge on top of the heap, of equal ones the leftmost.
struct ComesLater {
  bool operator()(const BytePairs::Scratch::Candidate& a,
                  const BytePairs::Scratch::Candidate& b) const noexcept {
    return a.rank != b.rank ? a.rank > b.rank : a.place > b.place;
  }
};

}  // namespace

BytePairs::BytePairs(Vocabulary vocabulary, const std::vector<Merge>& merges,
                     BytePairsConfig config, std::string_view where)
    : vocabulary_(std::move(vocabulary)),
      config_(std::move(config)),
      where_(where),
      first_(vocabulary_, config_),
      merges_(merges.size()) {
  const auto require = [&](std::string_view token, std::size_t merge) {
    if (const auto id = vocabulary_.id(token)) return *id;
    throw Error(
        ErrorCode::corrupt_file,
        fmt::format("{}[{}] needs \"{}\", which is none of the {} tokens of the vocabulary, "
                    "expected a token, as both parts and the result of each merge are",
                    where, merge, token, vocabulary_.size()));
  };
  if (config_.byte_fallback && config_.unk_token.empty() && first_.byte_piece_count() < 256) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: the vocabulary has {} of the tokens \"<0x00>\" to \"<0xFF>\", "
                            "expected all 256 of byte_fallback, or an unk_token",
                            where, first_.byte_piece_count()));
  }
  const std::size_t prefix = config_.continuing_subword_prefix.size();
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    const std::int32_t a = require(left, i);
    const std::int32_t b = require(right, i);
    if (right.size() < prefix) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}[{}] continues a word with \"{}\", expected a token behind the "
                              "continuing_subword_prefix \"{}\"",
                              where, i, right, config_.continuing_subword_prefix));
    }
    const std::int32_t both = require(left + right.substr(prefix), i);
    // Of a pair that is listed twice the last place counts, as in the reference.
    merges_.insert_or_assign(a, b, {static_cast<std::uint32_t>(i), both});
  }
}

// Appends the pair that begins at `left` to the heap, without its order, if it is in a merge.
bool BytePairs::add_candidate(std::int32_t left, Scratch& scratch) const {
  const auto at = [&](std::int32_t i) -> const PairSymbol& {
    return scratch.symbols[static_cast<std::size_t>(i)];
  };
  if (left < 0 || at(left).next < 0) return false;
  const PairTable::Merge* merge = merges_.find(at(left).id, at(at(left).next).id);
  if (merge == nullptr) return false;
  scratch.heap.push_back({merge->rank, left, merge->id});
  return true;
}

void BytePairs::push_candidate(std::int32_t left, Scratch& scratch) const {
  if (add_candidate(left, scratch)) {
    std::push_heap(scratch.heap.begin(), scratch.heap.end(), ComesLater{});
  }
}

// scratch.symbols → scratch.tokens.
void BytePairs::merge(Scratch& scratch) const {
  std::vector<PairSymbol>& symbols = scratch.symbols;
  scratch.heap.clear();
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    add_candidate(static_cast<std::int32_t>(i), scratch);
  }
  std::make_heap(scratch.heap.begin(), scratch.heap.end(), ComesLater{});
  while (!scratch.heap.empty()) {
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(), ComesLater{});
    const Scratch::Candidate best = scratch.heap.back();
    scratch.heap.pop_back();
    PairSymbol& left = symbols[static_cast<std::size_t>(best.place)];
    if (left.begin == left.end || left.next < 0) continue;
    PairSymbol& right = symbols[static_cast<std::size_t>(left.next)];
    // The pair may have changed since it was pushed.
    const PairTable::Merge* now = merges_.find(left.id, right.id);
    if (now == nullptr || now->id != best.id) continue;
    left.id = best.id;
    left.end = right.end;
    left.next = right.next;
    right.end = right.begin;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = best.place;
    push_candidate(left.previous, scratch);
    push_candidate(best.place, scratch);
  }
  scratch.tokens.clear();
  for (const PairSymbol& s : symbols) {
    if (s.begin != s.end) scratch.tokens.push_back({s.id, s.begin, s.end});
  }
}

void BytePairs::tokenize_characters(std::string_view text, Scratch& scratch) const {
  if (config_.ignore_merges) {
    if (const auto id = vocabulary_.id(text)) {
      scratch.tokens.assign(1, {*id, 0, static_cast<std::uint32_t>(text.size())});
      return;
    }
  }
  first_.of_characters(text, vocabulary_, config_, where_, scratch.key, scratch.symbols);
  merge(scratch);
  // Bytes of a prefix take places too, which the text does not have.
  const auto size = static_cast<std::uint32_t>(text.size());
  for (WordToken& t : scratch.tokens) {
    t.end = std::min(t.end, size);
    t.begin = std::min(t.begin, t.end - 1);
  }
}

// A byte-level word whose bytes are not all that there is to it: as the text that spells it.
void BytePairs::tokenize_spelled(std::string_view word, Scratch& scratch) const {
  tokenize_characters(scratch.spelled, scratch);
  std::vector<std::uint32_t> byte_of;  // by byte of the spelling
  for (std::size_t i = 0; i < word.size(); ++i) {
    std::string one;
    append_spelled(one, word.substr(i, 1));
    byte_of.resize(byte_of.size() + one.size(), static_cast<std::uint32_t>(i));
  }
  for (WordToken& t : scratch.tokens) t = {t.id, byte_of[t.begin], byte_of[t.end - 1] + 1};
}

void BytePairs::tokenize(std::string_view word, Scratch& scratch) const {
  scratch.is_general = !config_.end_of_word_suffix.empty();
  if (!config_.byte_level) {
    scratch.is_general = true;
    tokenize_characters(word, scratch);
    return;
  }
  scratch.spelled.clear();
  if (config_.ignore_merges) {
    append_spelled(scratch.spelled, word);
    if (const auto id = vocabulary_.id(scratch.spelled)) {
      scratch.tokens.assign(1, {*id, 0, static_cast<std::uint32_t>(word.size())});
      return;
    }
  }
  if (first_.of_bytes(word, scratch.symbols)) {
    merge(scratch);
    return;
  }
  scratch.is_general = true;
  if (scratch.spelled.empty()) append_spelled(scratch.spelled, word);
  tokenize_spelled(word, scratch);
}

}  // namespace tessera::text
