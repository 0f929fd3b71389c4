// SPDX-License-Identifier: Apache-2.0
#include "models/text/byte_pairs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/text/unicode.hpp"
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

bool is_spelled_as_itself(unsigned byte) noexcept {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
}

}  // namespace

char32_t character_of_byte(unsigned char byte) noexcept {
  if (is_spelled_as_itself(byte)) return byte;
  char32_t c = 0x100;
  for (unsigned b = 0; b < byte; ++b) c += is_spelled_as_itself(b) ? 0U : 1U;
  return c;
}

BytePairs::BytePairs(Vocabulary vocabulary, const std::vector<Merge>& merges,
                     BytePairsConfig config, std::string_view where)
    : vocabulary_(std::move(vocabulary)), config_(std::move(config)) {
  const auto require = [&](const std::string& token, std::size_t merge) {
    if (const auto id = vocabulary_.id(token)) return *id;
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}[{}] needs \"{}\", which is none of the {} tokens of the vocabulary",
                            where, merge, token, vocabulary_.size()));
  };
  if (!config_.unk_token.empty()) {
    unk_id_ = vocabulary_.id(config_.unk_token);
    if (!unk_id_) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}: the vocabulary has no token \"{}\", expected the unk_token",
                              where, config_.unk_token));
    }
  }
  for (std::size_t b = 0; b < 256; ++b) {
    std::string spelled;
    append_utf8(spelled, character_of_byte(static_cast<unsigned char>(b)));
    inner_[b] = vocabulary_.id(spelled).value_or(-1);
    last_[b] = vocabulary_.id(spelled + config_.end_of_word_suffix).value_or(-1);
  }
  merges_.reserve(merges.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    const std::uint64_t pair = key(require(left, i), require(right, i));
    // Of a pair that is listed twice the last place counts, as in the reference.
    merges_.insert_or_assign(pair, Merged{static_cast<std::uint32_t>(i), require(left + right, i)});
  }
}

void BytePairs::push_symbols(std::string_view word, Scratch& scratch) const {
  scratch.symbols.clear();
  bool after_unknown = false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool is_last = i + 1 == word.size();
    const std::int32_t id =
        (is_last ? last_ : inner_)[static_cast<std::size_t>(static_cast<unsigned char>(word[i]))];
    const auto begin = static_cast<std::uint32_t>(i);
    if (id < 0 && !unk_id_) continue;
    if (id < 0 && after_unknown && config_.fuse_unk) {
      scratch.symbols.back().end = begin + 1;
      continue;
    }
    const auto index = static_cast<std::int32_t>(scratch.symbols.size());
    scratch.symbols.push_back({id < 0 ? *unk_id_ : id, index - 1, index + 1, begin, begin + 1});
    after_unknown = id < 0;
  }
  if (!scratch.symbols.empty()) scratch.symbols.back().next = -1;
}

void BytePairs::push_candidate(std::int32_t left, Scratch& scratch) const {
  const auto at = [&](std::int32_t i) -> const Scratch::Symbol& {
    return scratch.symbols[static_cast<std::size_t>(i)];
  };
  if (left < 0 || at(left).next < 0) return;
  const auto found = merges_.find(key(at(left).id, at(at(left).next).id));
  if (found == merges_.end()) return;
  scratch.heap.push_back({found->second.rank, left, found->second.id});
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), ComesLater{});
}

void BytePairs::tokenize(std::string_view word, Scratch& scratch) const {
  push_symbols(word, scratch);
  std::vector<Scratch::Symbol>& symbols = scratch.symbols;
  scratch.heap.clear();
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    push_candidate(static_cast<std::int32_t>(i), scratch);
  }
  while (!scratch.heap.empty()) {
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(), ComesLater{});
    const Scratch::Candidate best = scratch.heap.back();
    scratch.heap.pop_back();
    Scratch::Symbol& left = symbols[static_cast<std::size_t>(best.place)];
    if (left.begin == left.end || left.next < 0) continue;
    Scratch::Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    // The pair may have changed since it was pushed.
    const auto now = merges_.find(key(left.id, right.id));
    if (now == merges_.end() || now->second.id != best.id) continue;
    left.id = best.id;
    left.end = right.end;
    left.next = right.next;
    right.end = right.begin;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = best.place;
    push_candidate(left.previous, scratch);
    push_candidate(best.place, scratch);
  }
  scratch.tokens.clear();
  for (const Scratch::Symbol& s : symbols) {
    if (s.begin != s.end) scratch.tokens.push_back({s.id, s.begin, s.end});
  }
}

}  // namespace tessera::text
