// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/static_texts.hpp"

#include <utility>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera {

std::optional<StaticCut> static_cut(const models::StaticModelTexts& reads,
                                    const TextOptions& options, Index max_tokens) {
  if (options.truncation_side == text::Side::left) {
    throw Error(ErrorCode::invalid_argument,
                "truncation side: got left, expected right: model2vec cuts texts at their end");
  }
  if (options.truncation == text::TruncationStrategy::do_not_truncate) return std::nullopt;
  const auto most =
      static_cast<std::size_t>(options.max_length.value_or(static_cast<Index>(reads.most_tokens)));
  return StaticCut{.code_points = most * reads.token_length, .tokens = max_tokens};
}

text::Encoding encode_static(const text::Tokenizer& tokenizer,
                             const models::StaticModelTexts& reads, std::string text,
                             const std::optional<StaticCut>& cut) {
  if (!is_utf8(text)) text = text::replace_invalid_utf8(text);
  text::EncodeOptions options{.add_special_tokens = false};
  bool is_cut = false;
  if (cut) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < cut->code_points && bytes < text.size(); ++i) {
      bytes += utf8_sequence(std::string_view(text).substr(bytes)).length;
    }
    is_cut = bytes < text.size();
    text.resize(bytes);
  } else {
    options.use_file_truncation = false;
  }
  text::Encoding encoding = tokenizer.encode(text, options);
  std::size_t kept = 0;
  for (std::size_t t = 0; t < encoding.size(); ++t) {
    if (encoding.ids[t] == reads.unknown) continue;
    encoding.ids[kept] = encoding.ids[t];
    encoding.type_ids[kept] = encoding.type_ids[t];
    encoding.offsets[kept] = encoding.offsets[t];
    encoding.special_mask[kept] = encoding.special_mask[t];
    encoding.attention_mask[kept++] = encoding.attention_mask[t];
  }
  if (cut && std::cmp_greater(kept, cut->tokens)) {
    kept = static_cast<std::size_t>(cut->tokens);
    is_cut = true;
  }
  encoding.ids.resize(kept);
  encoding.type_ids.resize(kept);
  encoding.offsets.resize(kept);
  encoding.special_mask.resize(kept);
  encoding.attention_mask.resize(kept);
  encoding.is_cut |= is_cut;
  return encoding;
}

}  // namespace tessera
