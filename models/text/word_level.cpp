// SPDX-License-Identifier: Apache-2.0
#include "models/text/word_level.hpp"

#include <fmt/format.h>

#include "runtime/base/error.hpp"

namespace tessera::text {

void WordLevel::tokenize(std::string_view word, std::vector<WordToken>& tokens) const {
  std::optional<std::int32_t> id = vocabulary_.id(word);
  if (!id) id = unk_id_;
  if (!id) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("tokenizer: the text has the word \"{}\", which is none of the {} of "
                            "the vocabulary; expected those only, since unk_token is none of them",
                            word.substr(0, 80), vocabulary_.size()));
  }
  tokens.assign(1, {*id, 0, static_cast<std::uint32_t>(word.size())});
}

}  // namespace tessera::text
