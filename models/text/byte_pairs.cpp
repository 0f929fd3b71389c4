// SPDX-License-Identifier: Apache-2.0
#include "models/text/byte_pairs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "models/text/byte_alphabet.hpp"
#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

// So many symbols are merged without a queue.
constexpr std::size_t kFew = 32;
constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

}  // namespace

BytePairs::BytePairs(Vocabulary vocabulary, const std::vector<Merge>& merges,
                     BytePairsConfig config, std::string_view where)
    : vocabulary_(std::move(vocabulary)),
      config_(std::move(config)),
      where_(where),
      first_(vocabulary_, config_),
      merges_(merges.size()),
      merged_(merges.size()) {
  const auto require = [&](std::string_view token, std::size_t merge) {
    if (const auto id = vocabulary_.id(token)) return *id;
    throw Error(
        ErrorCode::corrupt_file,
        fmt::format("{}[{}] needs \"{}\", which is none of the {} tokens of the vocabulary, "
                    "expected a token, as both parts and the result of each merge are",
                    where, merge, token, vocabulary_.size()));
  };
  const std::size_t prefix = config_.continuing_subword_prefix.size();
  // Ids tell what a token was made of where each is one string, and none of them both a symbol to
  // begin with and a merged one.
  bool is_plain = prefix == 0 && config_.end_of_word_suffix.empty() &&
                  vocabulary_.has_distinct_ids() &&
                  vocabulary_.id_count() <= 2 * vocabulary_.size() + 65536;
  const std::vector<std::int32_t> substitutes = first_.substitutes();
  std::vector<MergeBounds::Merge> joined;
  std::array<std::string, 8> results;  // of the merges from i on, whose tokens are asked for ahead
  const auto ask_ahead = [&](std::size_t i) {
    if (i >= merges.size()) return;
    const auto& [left, right] = merges[i];
    std::string& both = results[i % results.size()];
    both = left;
    if (right.size() > prefix) both.append(right, prefix);
    for (const std::string_view token :
         {std::string_view(left), std::string_view(right), std::string_view(both)}) {
      vocabulary_.will_ask(token);
    }
  };
  for (std::size_t i = 0; i < results.size(); ++i) ask_ahead(i);
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
    const std::int32_t both = require(results[i % results.size()], i);
    ask_ahead(i + results.size());
    // Of a pair that is listed twice the last place counts, as in the reference.
    merges_.insert_or_assign(a, b, {static_cast<std::uint32_t>(i), both});
    merged_[i] = both;
    is_plain = is_plain && !left.empty() && !right.empty() &&
               !std::binary_search(substitutes.begin(), substitutes.end(), both);
    if (is_plain) joined.push_back({a, b, both});
  }
  if (!is_plain) return;
  bounds_ = MergeBounds::of(joined, vocabulary_.id_count());
  if (bounds_) whole_words_ = std::make_unique<Late<WholeWords>>(kWholeWordsAfter);
}

// What merging makes one token of: a piece of a word is looked up here too, and ignore_merges is about
// whole words alone.
WholeWords BytePairs::find_whole_words() const {
  std::size_t size = 0;
  vocabulary_.for_each([&](std::string_view token, std::int32_t) { size += token.size(); });
  WholeWords found(size, vocabulary_.size());
  Scratch scratch;
  const bool has_repeats = vocabulary_.has_repeats();
  vocabulary_.for_each([&](std::string_view token, std::int32_t id) {
    const std::optional<std::string> word =
        config_.byte_level ? spelled_bytes(token) : std::string(token);
    if (!word || word->empty() || word->size() > WholeWords::kLongest) return;
    if (has_repeats && vocabulary_.id(token) != id) return;
    try {
      tokenize(*word, Known{}, scratch);
    } catch (const Error&) {
      return;  // needs an unknown token that there is not
    }
    const bool is_general = config_.byte_level && scratch.is_general;
    if (scratch.tokens.size() == 1 && scratch.tokens.front().id == id && !is_general) {
      found.add(*word, id);
    }
  });
  return found;
}

// The pair that begins at `left`, if it is in a merge.
void BytePairs::push_candidate(std::int32_t left, Scratch& scratch) const {
  if (left < 0) return;
  const PairSymbol& symbol = scratch.symbols[static_cast<std::size_t>(left)];
  if (symbol.next < 0) return;
  const PairTable::Merge* merge =
      merges_.find(symbol.id, scratch.symbols[static_cast<std::size_t>(symbol.next)].id);
  if (merge != nullptr) scratch.queue.push({merge->rank, left});
}

// The same as merge_range() by looking through all pairs for the best one, every time.
void BytePairs::merge_few(std::size_t begin, std::size_t end, Scratch& scratch) const {
  std::array<std::int32_t, kFew> ids;
  std::array<std::uint32_t, kFew> ends;
  std::array<std::uint32_t, kFew> ranks;  // of the pair that begins here
  std::array<std::int32_t, kFew> both;    // what it becomes
  std::size_t count = end - begin;
  const auto look_up = [&](std::size_t i) {
    const PairTable::Merge* merge = merges_.find(ids[i], ids[i + 1]);
    ranks[i] = merge == nullptr ? kNoRank : merge->rank;
    both[i] = merge == nullptr ? 0 : merge->id;
  };
  for (std::size_t i = 0; i < count; ++i) {
    ids[i] = scratch.symbols[begin + i].id;
    ends[i] = scratch.symbols[begin + i].end;
  }
  for (std::size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    const auto best = static_cast<std::size_t>(
        std::min_element(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(count - 1)) -
        ranks.begin());
    if (ranks[best] == kNoRank) break;
    ids[best] = both[best];
    --count;
    for (std::size_t i = best; i < count; ++i) {
      ends[i] = ends[i + 1];
      if (i > best) ids[i] = ids[i + 1];
    }
    for (std::size_t i = best; i + 1 < count; ++i) {
      ranks[i] = ranks[i + 1];
      both[i] = both[i + 1];
    }
    if (best > 0) look_up(best - 1);
    if (best + 1 < count) look_up(best);
  }
  std::uint32_t from = scratch.symbols[begin].begin;
  for (std::size_t i = 0; i < count; ++i) {
    scratch.tokens.push_back({ids[i], from, ends[i]});
    from = ends[i];
  }
}

void BytePairs::merge_range(std::size_t begin, std::size_t end, Scratch& scratch) const {
  std::vector<PairSymbol>& symbols = scratch.symbols;
  symbols[begin].previous = -1;
  symbols[end - 1].next = -1;
  scratch.queue.start(end - begin, merged_.size());
  for (std::size_t i = begin; i < end; ++i) push_candidate(static_cast<std::int32_t>(i), scratch);
  while (const auto best = scratch.queue.pop()) {
    PairSymbol& left = symbols[static_cast<std::size_t>(best->place)];
    if (left.begin == left.end || left.next < 0) continue;
    PairSymbol& right = symbols[static_cast<std::size_t>(left.next)];
    // The pair may have changed since it was pushed.
    const PairTable::Merge* now = merges_.find(left.id, right.id);
    const std::int32_t both = merged_[best->rank];
    if (now == nullptr || now->id != both) continue;
    left.id = both;
    left.end = right.end;
    left.next = right.next;
    right.end = right.begin;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = best->place;
    push_candidate(left.previous, scratch);
    push_candidate(best->place, scratch);
  }
  for (std::size_t i = begin; i < end; ++i) {
    const PairSymbol& s = symbols[i];
    if (s.begin != s.end) scratch.tokens.push_back({s.id, s.begin, s.end});
  }
}

void BytePairs::merge(std::string_view text, const WholeWords* words, Scratch& scratch) const {
  const std::vector<PairSymbol>& symbols = scratch.symbols;
  scratch.tokens.clear();
  if (symbols.empty()) return;
  if (!bounds_) {
    merge_range(0, symbols.size(), scratch);
    return;
  }
  for (std::size_t begin = 0; begin < symbols.size();) {
    std::size_t end = begin + 1;
    while (end < symbols.size() && !bounds_->are_apart(symbols[end - 1].id, symbols[end].id)) ++end;
    const std::uint32_t from = symbols[begin].begin;
    const auto find = [&]() -> std::optional<std::int32_t> {
      if (words == nullptr) return std::nullopt;
      return words->find(
          text.substr(std::min<std::size_t>(from, text.size()), symbols[end - 1].end - from));
    };
    if (end == begin + 1) {
      scratch.tokens.push_back({symbols[begin].id, from, symbols[begin].end});
    } else if (const auto id = find()) {
      scratch.tokens.push_back({*id, from, symbols[end - 1].end});
    } else if (end - begin <= kFew) {
      merge_few(begin, end, scratch);
    } else {
      merge_range(begin, end, scratch);
    }
    begin = end;
  }
}

void BytePairs::tokenize_characters(std::string_view text, const Known& known,
                                    Scratch& scratch) const {
  if (known.tokens) {
    if (const auto id = vocabulary_.id(text)) {
      scratch.tokens.assign(1, {*id, 0, static_cast<std::uint32_t>(text.size())});
      return;
    }
  }
  const bool all_known =
      first_.of_characters(text, vocabulary_, config_, where_, scratch.key, scratch.symbols);
  // The whole words of a byte-level vocabulary are kept as bytes, not as what spells them.
  merge(all_known && !config_.byte_level ? text : std::string_view{}, known.words, scratch);
  // Bytes of a prefix take places too, which the text does not have.
  const auto size = static_cast<std::uint32_t>(text.size());
  for (WordToken& t : scratch.tokens) {
    t.end = std::min(t.end, size);
    t.begin = std::min(t.begin, t.end - 1);
  }
}

// A byte-level word whose bytes are not all that there is to it: as the text that spells it.
void BytePairs::tokenize_spelled(std::string_view word, const Known& known,
                                 Scratch& scratch) const {
  tokenize_characters(scratch.spelled, known, scratch);
  std::vector<std::uint32_t> byte_of;  // by byte of the spelling
  for (std::size_t i = 0; i < word.size(); ++i) {
    std::string one;
    append_spelled(one, word.substr(i, 1));
    byte_of.resize(byte_of.size() + one.size(), static_cast<std::uint32_t>(i));
  }
  for (WordToken& t : scratch.tokens) t = {t.id, byte_of[t.begin], byte_of[t.end - 1] + 1};
}

void BytePairs::tokenize(std::string_view word, Scratch& scratch) const {
  Known known;
  known.tokens = config_.ignore_merges;
  if (whole_words_) {
    known.words = whole_words_->get(word.size(), [&] { return find_whole_words(); });
  }
  tokenize(word, known, scratch);
}

void BytePairs::tokenize(std::string_view word, const Known& known, Scratch& scratch) const {
  scratch.is_general = !config_.end_of_word_suffix.empty();
  const auto find = [&]() -> std::optional<std::int32_t> {
    if (known.words == nullptr) return std::nullopt;
    return known.words->find(word);
  };
  if (const auto id = find()) {
    scratch.tokens.assign(1, {*id, 0, static_cast<std::uint32_t>(word.size())});
    scratch.is_general = scratch.is_general || !config_.byte_level;
    return;
  }
  if (!config_.byte_level) {
    scratch.is_general = true;
    tokenize_characters(word, known, scratch);
    return;
  }
  scratch.spelled.clear();
  if (known.tokens) {
    append_spelled(scratch.spelled, word);
    if (const auto id = vocabulary_.id(scratch.spelled)) {
      scratch.tokens.assign(1, {*id, 0, static_cast<std::uint32_t>(word.size())});
      return;
    }
  }
  if (first_.of_bytes(word, scratch.symbols)) {
    merge(word, known.words, scratch);
    return;
  }
  scratch.is_general = true;
  if (scratch.spelled.empty()) append_spelled(scratch.spelled, word);
  tokenize_spelled(word, known, scratch);
}

}  // namespace tessera::text
