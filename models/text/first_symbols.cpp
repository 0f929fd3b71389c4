// SPDX-License-Identifier: Apache-2.0
#include "models/text/first_symbols.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "models/text/byte_alphabet.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

void push(std::int32_t id, std::size_t length, std::vector<PairSymbol>& symbols) {
  const auto index = static_cast<std::int32_t>(symbols.size());
  const std::uint32_t begin = symbols.empty() ? 0 : symbols.back().end;
  symbols.push_back({id, index - 1, index + 1, begin, begin + static_cast<std::uint32_t>(length)});
}

}  // namespace

FirstSymbols::FirstSymbols(const Vocabulary& vocabulary, const BytePairsConfig& config) {
  if (!config.unk_token.empty()) unk_id_ = vocabulary.id(config.unk_token);
  for (std::size_t b = 0; b < 256; ++b) {
    const std::string byte(1, static_cast<char>(b));
    std::string spelled;
    append_spelled(spelled, byte);
    last_[b] = vocabulary.id(spelled + config.end_of_word_suffix).value_or(-1);
    inner_[b] = config.continuing_subword_prefix.empty() ? vocabulary.id(spelled).value_or(-1) : -1;
    pieces_[b] = vocabulary.id(fmt::format("<0x{:02X}>", b)).value_or(-1);
  }
}

std::vector<std::int32_t> FirstSymbols::substitutes() const {
  std::vector<std::int32_t> ids;
  std::copy_if(pieces_.begin(), pieces_.end(), std::back_inserter(ids),
               [](auto id) { return id >= 0; });
  if (unk_id_) ids.push_back(*unk_id_);
  std::sort(ids.begin(), ids.end());
  return ids;
}

bool FirstSymbols::of_bytes(std::string_view word, std::vector<PairSymbol>& symbols) const {
  symbols.clear();
  symbols.reserve(word.size());
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool is_last = i + 1 == word.size();
    const std::int32_t id =
        (is_last ? last_ : inner_)[static_cast<std::size_t>(static_cast<unsigned char>(word[i]))];
    if (id < 0) return false;
    push(id, 1, symbols);
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return true;
}

bool FirstSymbols::push_bytes(std::string_view bytes, std::vector<PairSymbol>& symbols) const {
  const auto piece = [&](char b) {
    return pieces_[static_cast<std::size_t>(static_cast<unsigned char>(b))];
  };
  if (std::any_of(bytes.begin(), bytes.end(), [&](char b) { return piece(b) < 0; })) return false;
  for (const char b : bytes) push(piece(b), 1, symbols);
  return true;
}

bool FirstSymbols::of_characters(std::string_view text, const Vocabulary& vocabulary,
                                 const BytePairsConfig& config, std::string_view where,
                                 std::string& key, std::vector<PairSymbol>& symbols) const {
  symbols.clear();
  symbols.reserve(text.size());
  bool all_known = true;
  std::size_t unknown = 0;  // bytes of the unknown token that waits for the next known one
  const auto flush = [&] {
    if (unknown > 0) push(*unk_id_, unknown, symbols);
    unknown = 0;
  };
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = decode_utf8(text.data() + i).length;
    const bool is_last = i + length == text.size();
    std::string_view token = text.substr(i, length);
    if ((i > 0 && !config.continuing_subword_prefix.empty()) ||
        (is_last && !config.end_of_word_suffix.empty())) {
      key.assign(i > 0 ? config.continuing_subword_prefix : std::string());
      key.append(token);
      if (is_last) key.append(config.end_of_word_suffix);
      token = key;
    }
    i += length;
    if (const auto id = vocabulary.id(token)) {
      flush();
      push(*id, length, symbols);
      continue;
    }
    // These do not flush: an unknown token before them comes behind them.
    if (config.byte_fallback && push_bytes(token, symbols)) continue;
    all_known = false;
    if (config.unk_token.empty()) continue;
    if (!unk_id_) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}: the vocabulary has no token \"{}\", expected the unk_token, "
                              "which the text's \"{}\" needs",
                              where, config.unk_token, token));
    }
    if (!config.fuse_unk) flush();
    unknown += length;
  }
  flush();
  if (!symbols.empty()) symbols.back().next = -1;
  return all_known;
}

}  // namespace tessera::text
