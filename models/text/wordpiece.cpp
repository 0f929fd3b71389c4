// SPDX-License-Identifier: Apache-2.0
#include "models/text/wordpiece.hpp"

#include <utility>

namespace tessera::text {

WordPiece::WordPiece(Vocabulary vocabulary, WordPieceConfig config)
    : vocabulary_(std::move(vocabulary)),
      config_(std::move(config)),
      unk_id_(vocabulary_.id(config_.unk_token).value()) {
  const std::string_view prefix = config_.continuing_subword_prefix;
  if (prefix.empty()) return;
  vocabulary_.for_each([&](std::string_view token, std::int32_t) {
    if (token.size() <= prefix.size() || !token.starts_with(prefix)) return;
    continuations_.insert(token.substr(prefix.size()), vocabulary_.id(token).value());
  });
}

void WordPiece::tokenize(std::string_view word, std::size_t code_points, Scratch& scratch) const {
  scratch.tokens.clear();
  const auto length = static_cast<std::uint32_t>(word.size());
  std::uint32_t start = code_points > config_.max_input_chars_per_word ? length : 0;
  const PrefixTable* table = &vocabulary_.table();
  while (start < length) {
    const PrefixTable::Match m = table->longest_prefix(word.substr(start), scratch.hashes);
    if (m.id < 0) {
      scratch.tokens.clear();
      break;
    }
    scratch.tokens.push_back({m.id, start, start + m.length});
    start += m.length;
    if (!config_.continuing_subword_prefix.empty()) table = &continuations_;
  }
  if (scratch.tokens.empty()) scratch.tokens.push_back({unk_id_, 0, length});
}

}  // namespace tessera::text
