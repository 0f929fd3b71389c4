// SPDX-License-Identifier: Apache-2.0
#include "models/text/sequence_tokens.hpp"

#include "models/text/unicode.hpp"

namespace tessera::text {

void append_word_tokens(const std::vector<AlignedChar>& chars, WordRange range,
                        const WordPiece& model, WordScratch& scratch,
                        std::vector<SequenceToken>& tokens) {
  scratch.word.clear();
  scratch.byte_to_char.clear();
  for (std::uint32_t i = range.begin; i < range.end; ++i) {
    append_utf8(scratch.word, chars[i].c);
    scratch.byte_to_char.resize(scratch.word.size(), i);
  }
  model.tokenize(scratch.word, range.end - range.begin, scratch.pieces);
  for (const WordToken& t : scratch.pieces.tokens) {
    tokens.push_back({t.id, chars[scratch.byte_to_char[t.begin]].begin,
                      chars[scratch.byte_to_char[t.end - 1]].end, t.begin == 0, false});
  }
}

bool append_text_tokens(const std::vector<AlignedChar>& chars, WordRange range,
                        const PreTokenizer& pre_tokenizer, const WordPiece& model,
                        std::size_t limit, WordScratch& scratch,
                        std::vector<SequenceToken>& tokens) {
  scratch.words.assign(range.begin < range.end ? 1 : 0, range);
  pre_tokenizer.split(chars, scratch.words);
  for (const WordRange& word : scratch.words) {
    append_word_tokens(chars, word, model, scratch, tokens);
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
