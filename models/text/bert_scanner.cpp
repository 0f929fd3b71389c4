// SPDX-License-Identifier: Apache-2.0
#include "models/text/bert_scanner.hpp"

#include <algorithm>

#include "models/text/unicode.hpp"

namespace tessera::text {

BertScanner::BertScanner(const BertNormalizer& normalizer)
    : normalizer_{{normalizer}}, isolates_ideographs_(normalizer.handle_chinese_chars) {
  for (std::size_t b = 0; b < classes_.size(); ++b) {
    const auto c = static_cast<char32_t>(b);
    const bool is_upper = c >= 'A' && c <= 'Z';
    folded_[b] = static_cast<char>(normalizer.lowercase && is_upper ? b + 0x20 : b);
    // Control characters are removed, so they are no boundary.
    const bool is_removed =
        normalizer.clean_text && is_other(c) && c != '\t' && c != '\n' && c != '\r';
    if (b >= 0x80 || is_removed) {
      classes_[b] = ByteClass::complex;
    } else if (is_whitespace(c)) {
      classes_[b] = ByteClass::space;
    } else {
      classes_[b] = is_punctuation(c) ? ByteClass::punctuation : ByteClass::plain;
    }
  }
}

std::size_t BertScanner::ideograph_length(std::string_view text, std::size_t at) const noexcept {
  // U+3400, the first one, begins with this byte.
  if (!isolates_ideographs_ || static_cast<unsigned char>(text[at]) < 0xE3) return 0;
  const Decoded d = decode_utf8(text.data() + at);
  const bool is_compatible = (d.c >= 0xF900 && d.c <= 0xFAFF) || d.c >= 0x2F800;  // decompose
  return is_cjk_ideograph(d.c) && !is_compatible ? d.length : 0;
}

bool BertScanner::scan(std::string_view text, std::uint32_t first, const WordModel& model,
                       std::size_t limit, WordScratch& scratch,
                       std::vector<SequenceToken>& tokens) const {
  std::uint32_t position = first;  // of text[i], in code points
  for (std::size_t i = 0; i < text.size();) {
    const ByteClass kind = classes_[static_cast<unsigned char>(text[i])];
    if (kind == ByteClass::space) {
      ++i;
      ++position;
      continue;
    }
    const bool is_ideograph = kind == ByteClass::complex && ideograph_length(text, i) != 0;
    std::size_t end = i + 1;
    if (is_ideograph) {
      end = i + ideograph_length(text, i);
    } else if (kind != ByteClass::punctuation) {
      while (end < text.size() &&
             classes_[static_cast<unsigned char>(text[end])] == ByteClass::plain)
        ++end;
    }
    if (is_ideograph || (kind != ByteClass::complex &&
                         (kind == ByteClass::punctuation || end == text.size() ||
                          ends_word(text[end]) || ideograph_length(text, end) != 0))) {
      scratch.word.resize(end - i);
      for (std::size_t j = i; j < end; ++j) {
        scratch.word[j - i] = folded_[static_cast<unsigned char>(text[j])];
      }
      const auto count = is_ideograph ? 1 : static_cast<std::uint32_t>(end - i);
      for (const WordToken& t : model.tokenize(scratch.word, count, scratch.pieces)) {
        const std::uint32_t from = is_ideograph ? 0 : t.begin;
        tokens.push_back(
            {t.id, position + from, position + std::min(t.end, count), t.begin == 0, false});
      }
      position += count;
      if (tokens.size() >= limit) return false;
    } else {
      while (end < text.size() && !ends_word(text[end]) && ideograph_length(text, end) == 0) ++end;
      scratch.text.assign(text.substr(i, end - i), position);
      position += static_cast<std::uint32_t>(scratch.text.chars.size());
      normalizer_.apply(scratch.text);
      const WordRange all{0, static_cast<std::uint32_t>(scratch.text.chars.size())};
      if (!append_text_tokens(scratch.text.chars, all, pre_tokenizer_, model, limit, scratch,
                              tokens)) {
        return false;
      }
    }
    i = end;
  }
  return true;
}

}  // namespace tessera::text
