// SPDX-License-Identifier: Apache-2.0
#include "tessera/c_api/texts.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"

namespace tessera::c_api {

GivenTexts::GivenTexts(const tessera_texts* texts, const char* name)
    : given_(read_struct(checked(texts, name), "tessera_texts")), name_(name) {
  const auto list = [&](auto* elements, const char* field) {
    return checked_span(elements, given_.count, fmt::format("{}.{}", name_, field).c_str());
  };
  texts_ = list(given_.texts, "texts");
  if (given_.pairs != nullptr) pairs_ = list(given_.pairs, "pairs");
  if (given_.lengths != nullptr) lengths_ = list(given_.lengths, "lengths");
  if (given_.pair_lengths != nullptr) pair_lengths_ = list(given_.pair_lengths, "pair_lengths");
  if (given_.is_cut != nullptr) is_cut_ = list(given_.is_cut, "is_cut");
  require(given_.pairs != nullptr || given_.pair_lengths == nullptr || given_.count == 0,
          "{}.pairs is NULL with pair_lengths, expected pairs", name_);
}

TextOptions GivenTexts::options() const {
  TextOptions options;
  switch (checked_enum(given_.truncation, TESSERA_DO_NOT_TRUNCATE,
                       fmt::format("{}.truncation", name_).c_str())) {
    case TESSERA_TRUNCATE:
      options.truncation = text::TruncationStrategy::longest_first;
      break;
    case TESSERA_DO_NOT_TRUNCATE:
      options.truncation = text::TruncationStrategy::do_not_truncate;
      break;
    default:
      break;
  }
  require(given_.max_tokens >= 0, "{}.max_tokens is {}, expected at least 1, or 0", name_,
          given_.max_tokens);
  if (given_.max_tokens > 0) options.max_length = given_.max_tokens;
  if (given_.prompt != nullptr) options.prompt = given_.prompt;
  if (given_.prompt_name != nullptr) options.prompt_name = given_.prompt_name;
  return options;
}

std::string_view GivenTexts::at(std::span<const char* const> texts,
                                std::span<const std::size_t> lengths, std::size_t index,
                                const char* field) const {
  const char* const text = texts[index];
  const bool is_empty = !lengths.empty() && lengths[index] == 0;
  if (is_empty) return {};
  require(text != nullptr, "{}.{}[{}] is NULL, expected a text", name_, field, index);
  if (lengths.empty()) return text;
  require(lengths[index] <= PTRDIFF_MAX, "{}.{}[{}] has {} bytes, expected less", name_, field,
          index, lengths[index]);
  return {text, lengths[index]};
}

void GivenTexts::write_cuts(const std::vector<unsigned char>& cuts) const {
  if (wants_cuts()) std::copy(cuts.begin(), cuts.end(), is_cut_.begin());
}

void TokenizedTextsBuilder::append(const text::Encoding& encoding) {
  require(!items_.are_wanted() || std::cmp_less_equal(encoding.ids.size(), max_rows_),
          "got {} tokens, expected at most {} (the session's max_rows)", encoding.ids.size(),
          max_rows_);
  tokens_.ids.insert(tokens_.ids.end(), encoding.ids.begin(), encoding.ids.end());
  tokens_.types.insert(tokens_.types.end(), encoding.type_ids.begin(), encoding.type_ids.end());
  tokens_.cuts.back() = encoding.is_cut ? 1 : 0;
  tokens_.pool_from.push_back(encoding.pool_from);
}

TokenizedTexts TokenizedTextsBuilder::finish(const ModelObject& model) {
  if (require_tokens(model.package().program).type_vocab_size == 0) {
    std::fill(tokens_.types.begin(), tokens_.types.end(), 0);
  }
  return std::move(tokens_);
}

TokenizedTexts tokenize(const ModelObject& model, const TextInputs& inputs, const GivenTexts& texts,
                        ItemStatuses& items, Index max_rows, const RunLimits& limits) {
  items.begin(texts.size());
  TokenizedTextsBuilder tokens(items, max_rows, limits);
  for (std::size_t s = 0; s < texts.size(); ++s) {
    std::optional<std::string_view> second;
    if (texts.has_pairs()) second = texts.pair(s);
    const std::string_view first = texts.text(s);
    tokens.add([&] { return inputs.encode(first, second); });
  }
  return tokens.finish(model);
}

}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_tokenize(const tessera_model* model, const tessera_texts* texts,
                                int32_t* ids, int32_t* types, size_t capacity, int64_t* offsets) {
  return guard([&] {
    const std::shared_ptr<ModelObject> object = model_table().get(model);
    const auto out_ids = checked_span(ids, ids == nullptr ? 0 : capacity, "ids");
    const auto out_types = checked_span(types, types == nullptr ? 0 : capacity, "types");
    checked(offsets, "offsets");
    ItemStatuses items(nullptr, "text");
    const GivenTexts given(texts, "texts");
    const TextInputs inputs(object->package(), given.options());
    const TokenizedTexts tokens = tokenize(*object, inputs, given, items, 0, RunLimits{});
    for (const std::int32_t left_out : tokens.pool_from) {
      if (left_out == 0) continue;
      require(object->package().adds_special_tokens,
              "texts: got one without tokens, expected a token at least in each, as ids "
              "(tessera_encode_texts() takes it)");
      throw Error(ErrorCode::unsupported_model,
                  fmt::format("texts.prompt: got one whose {} tokens the Pooling leaves out "
                              "(include_prompt false), which token ids cannot tell, expected none "
                              "(tessera_encode_texts() takes it)",
                              left_out));
    }
    const bool wants_ids = ids != nullptr || types != nullptr;
    require(!wants_ids || capacity >= tokens.ids.size(),
            "capacity is {}, expected at least {} (tokens of {} texts)", capacity,
            tokens.ids.size(), tokens.offsets.size() - 1);
    if (ids != nullptr) std::copy(tokens.ids.begin(), tokens.ids.end(), out_ids.begin());
    if (types != nullptr) std::copy(tokens.types.begin(), tokens.types.end(), out_types.begin());
    std::copy(tokens.offsets.begin(), tokens.offsets.end(), offsets);
    given.write_cuts(tokens.cuts);
  });
}
