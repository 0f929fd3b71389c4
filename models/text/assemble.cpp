// SPDX-License-Identifier: Apache-2.0
#include "models/text/assemble.hpp"

#include "models/text/trimmed_offsets.hpp"

namespace tessera::text {
namespace {

void append_special(const TemplatePiece& piece, Encoding& out) {
  for (const std::int32_t id : piece.ids) {
    out.ids.push_back(id);
    out.type_ids.push_back(piece.type_id);
    out.offsets.push_back({0, 0});
    out.special_mask.push_back(1);
  }
}

void append_sequence(const std::vector<SequenceToken>& tokens, bool is_last, std::int32_t type_id,
                     Encoding& out) {
  const auto begin = static_cast<std::uint32_t>(out.size());
  for (const SequenceToken& t : tokens) {
    out.ids.push_back(t.id);
    out.offsets.push_back({t.begin, t.end});
  }
  out.type_ids.resize(out.ids.size(), type_id);
  out.special_mask.resize(out.ids.size(), 0);
  if (is_last) out.last_text = {begin, static_cast<std::uint32_t>(out.size())};
}

}  // namespace

Encoding assemble(const TokenizerParts& parts, std::vector<SequenceToken>& first,
                  std::vector<SequenceToken>* second, bool add_special_tokens) {
  const bool is_pair = second != nullptr;
  if (parts.post.trim_offsets) {
    trim_offsets(parts.post.add_prefix_space, parts.model, first);
    if (is_pair) trim_offsets(parts.post.add_prefix_space, parts.model, *second);
  }
  Encoding out;
  const std::size_t size = first.size() + (is_pair ? second->size() : 0) +
                           (add_special_tokens ? parts.post.special_count(is_pair) : 0);
  out.ids.reserve(size);
  out.type_ids.reserve(size);
  out.offsets.reserve(size);
  out.special_mask.reserve(size);
  for (const TemplatePiece& piece : is_pair ? parts.post.pair : parts.post.single) {
    switch (piece.kind) {
      case TemplatePiece::Kind::first:
        append_sequence(first, !is_pair, piece.type_id, out);
        break;
      case TemplatePiece::Kind::second:
        append_sequence(*second, true, piece.type_id, out);
        break;
      case TemplatePiece::Kind::special:
        if (add_special_tokens) append_special(piece, out);
        break;
    }
  }
  out.attention_mask.assign(out.ids.size(), 1);
  return out;
}

void add_words(const std::vector<SequenceToken>& last, Encoding& out) {
  out.opens_word.assign(out.size(), 0);
  for (std::size_t i = 0; i < last.size(); ++i) {
    out.opens_word[out.last_text[0] + i] = i == 0 || last[i].opens_word ? 1 : 0;
  }
}

}  // namespace tessera::text
