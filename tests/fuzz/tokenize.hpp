// SPDX-License-Identifier: Apache-2.0
// Loads a tokenizer from files in memory and encodes a few texts with it.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "models/text/tokenizer.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {

/// Ids in range, offsets inside the text and in its order.
inline void check_encoding(const text::Tokenizer& t, const text::Encoding& e,
                           std::string_view text) {
  const std::size_t n = e.size();
  require(e.type_ids.size() == n && e.offsets.size() == n && e.special_mask.size() == n &&
              e.attention_mask.size() == n,
          "parts of one encoding have one size");
  const std::size_t length = text::count_code_points(text::replace_invalid_utf8(text));
  std::uint32_t before = 0;
  for (std::size_t i = 0; i < n; ++i) {
    require(e.ids[i] >= 0, "an id is not negative");
    if (e.special_mask[i] != 0) continue;
    require(static_cast<std::size_t>(e.ids[i]) < t.vocab_size(), "an id is in the vocabulary");
    const auto [begin, end] = e.offsets[i];
    require(begin <= end && end <= length, "offsets are inside the text");
    require(before <= begin, "offsets are in the order of the text");
    before = begin;
  }
}

inline void encode_texts(const text::Tokenizer& t) {
  // Long enough that work that grows with the square of a length shows.
  static const std::string same(3000, 'a');
  static const std::string spaces = std::string(1500, ' ') + "a" + std::string(1500, '\t');
  static const std::string marks = [] {
    std::string out = "e";
    for (int i = 0; i < 1000; ++i) out += i % 2 == 0 ? "\u0301" : "\u0323";
    return out;
  }();
  const std::array<std::string_view, 7> texts = {
      "",
      "Hello, world! [MASK] un\u0301affable 2024 \u4E2D\u6587 don't",
      "\xFF\xE2\x82 \u3000\uAC01 ,,[SEP][SEP] \U0001F600\u200D <mask> </s>\n a",
      "``quoted'' 7, x  y \u0130 \uFB01 \uFDFA",
      same,
      spaces,
      marks};
  for (const std::string_view text : texts) {
    try {
      check_encoding(t, t.encode(text), text);
      text::EncodeOptions cut;
      cut.max_length = 8;
      check_encoding(t, t.encode(text, cut), text);
    } catch (const Error& e) {
      // Of a text: a truncation that cannot succeed, a pattern that was given up.
      if (e.code() != ErrorCode::invalid_argument) throw;
      require(std::string_view(e.what()).find("expected") != std::string_view::npos,
              "a message says what was expected");
    }
  }
}

/// `files` as the directory of a tokenizer.
inline void try_tokenizer(const std::map<std::string, std::string_view>& files) {
  MemoryFiles::Map map;
  for (const auto& [name, bytes] : files) map.emplace(name, std::as_bytes(std::span(bytes)));
  const MemoryFiles in_memory(std::move(map));
  encode_texts(text::Tokenizer::from_directory(in_memory.directory()));
}

}  // namespace tessera::fuzz
