// SPDX-License-Identifier: Apache-2.0
#include "models/text/sequence_tokens.hpp"

#include <algorithm>
#include <optional>

#include "models/text/trimmed_offsets.hpp"
#include "models/text/unicode.hpp"

namespace tessera::text {

void append_word_tokens(const std::vector<AlignedChar>& chars, WordRange range,
                        const WordModel& model, WordScratch& scratch,
                        std::vector<SequenceToken>& tokens) {
  scratch.word.clear();
  scratch.byte_to_char.clear();
  scratch.word.reserve(range.end - range.begin);
  scratch.byte_to_char.reserve(range.end - range.begin);
  for (std::uint32_t i = range.begin; i < range.end; ++i) {
    append_utf8(scratch.word, chars[i].c);
    scratch.byte_to_char.resize(scratch.word.size(), i);
  }
  bool opens_word = true;
  const std::vector<WordToken>& pieces =
      model.tokenize(scratch.word, range.end - range.begin, scratch.pieces);
  // Where every token is the bytes at its place, they tell its spaces without a look-up.
  const bool is_spelled_by_place = model.is_byte_level() && !scratch.pieces.byte_pairs.is_general;
  const std::optional<std::int32_t> unk_id = model.unk_id();
  for (const WordToken& t : pieces) {
    SequenceToken token{t.id, chars[scratch.byte_to_char[t.begin]].begin,
                        chars[scratch.byte_to_char[t.end - 1]].end, opens_word, false};
    if (is_spelled_by_place) {
      const std::string_view bytes =
          std::string_view(scratch.word).substr(t.begin, t.end - t.begin);
      const std::size_t first = std::min(bytes.find_first_not_of(' '), bytes.size());
      const std::size_t last = bytes.find_last_not_of(' ');
      token.has_spaces_measured = true;
      token.leading_space = static_cast<std::uint32_t>(first);
      token.trailing_space = static_cast<std::uint32_t>(
          bytes.size() - (last == std::string_view::npos ? 0 : last + 1));
    }
    if (model.spells_unknown() && t.id == unk_id) {
      measure_spaces(std::string_view(scratch.word).substr(t.begin, t.end - t.begin), token);
    }
    tokens.push_back(token);
    opens_word = false;
  }
}

bool append_text_tokens(const std::vector<AlignedChar>& chars, WordRange range,
                        const PreTokenizer& pre_tokenizer, const WordModel& model,
                        std::size_t limit, WordScratch& scratch,
                        std::vector<SequenceToken>& tokens) {
  const std::vector<AlignedChar>* split = &chars;
  scratch.words.assign(range.begin < range.end ? 1 : 0, range);
  if (pre_tokenizer.rewrites()) {
    pre_tokenizer.rewrite(chars, scratch.words, scratch.rewritten);
    split = &scratch.rewritten;
  } else {
    pre_tokenizer.split(chars, scratch.words);
  }
  for (const WordRange& word : scratch.words) {
    append_word_tokens(*split, word, model, scratch, tokens);
    if (tokens.size() >= limit) return false;
  }
  return true;
}

void limit_from_left(std::size_t limit, std::vector<SequenceToken>& tokens) {
  for (std::size_t i = tokens.size(); i-- > 0;) {
    if (!tokens[i].opens_word || tokens[i].is_added) continue;
    if (tokens.size() - i >= limit) {
      tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
  }
}

}  // namespace tessera::text
