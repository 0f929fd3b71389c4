// SPDX-License-Identifier: Apache-2.0
#include "tessera/c_api/texts.hpp"

#include <optional>
#include <string_view>

#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera::c_api {
namespace {

TextOptions read_text_options(const tessera_texts& given) {
  TextOptions options;
  switch (checked_enum(given.truncation, TESSERA_DO_NOT_TRUNCATE, "texts.truncation")) {
    case TESSERA_TRUNCATE:
      options.truncation = text::TruncationStrategy::longest_first;
      break;
    case TESSERA_DO_NOT_TRUNCATE:
      options.truncation = text::TruncationStrategy::do_not_truncate;
      break;
    default:
      break;
  }
  require(given.max_tokens >= 0, "texts.max_tokens is {}, expected at least 1, or 0",
          given.max_tokens);
  if (given.max_tokens > 0) options.max_length = given.max_tokens;
  if (given.prompt != nullptr) options.prompt = given.prompt;
  if (given.prompt_name != nullptr) options.prompt_name = given.prompt_name;
  return options;
}

/// Element `index` of texts or pairs.
std::string_view text_at(std::span<const char* const> texts, std::span<const std::size_t> lengths,
                         std::size_t index, const char* name) {
  const char* const text = texts[index];
  const bool is_empty = !lengths.empty() && lengths[index] == 0;
  if (is_empty) return {};
  require(text != nullptr, "texts.{}[{}] is NULL, expected a text", name, index);
  if (lengths.empty()) return text;
  require(lengths[index] <= PTRDIFF_MAX, "texts.{}[{}] has {} bytes, expected less", name, index,
          lengths[index]);
  return {text, lengths[index]};
}

}  // namespace

TokenizedTexts tokenize(const ModelObject& model, const tessera_texts* texts, ItemStatuses& items,
                        Index max_rows) {
  const tessera_texts given = read_struct(texts, "tessera_texts");
  const auto list = checked_span(given.texts, given.count, "texts.texts");
  const auto pairs =
      checked_span(given.pairs, given.pairs == nullptr ? 0 : given.count, "texts.pairs");
  const auto lengths =
      checked_span(given.lengths, given.lengths == nullptr ? 0 : given.count, "texts.lengths");
  const auto pair_lengths = checked_span(
      given.pair_lengths, given.pair_lengths == nullptr ? 0 : given.count, "texts.pair_lengths");
  require(given.pairs != nullptr || given.pair_lengths == nullptr || given.count == 0,
          "texts.pairs is NULL with pair_lengths, expected pairs");

  items.begin(given.count);
  const TextInputs inputs(model.package(), read_text_options(given));
  TokenizedTexts result;
  result.offsets.push_back(0);
  result.is_cut =
      checked_span(given.is_cut, given.is_cut == nullptr ? 0 : given.count, "texts.is_cut");
  for (std::size_t s = 0; s < given.count; ++s) {
    std::optional<std::string_view> second;
    if (!pairs.empty()) second = text_at(pairs, pair_lengths, s, "pairs");
    const std::string_view first = text_at(list, lengths, s, "texts");
    result.cut.push_back(0);
    try {
      const text::Encoding encoding = inputs.encode(first, second);
      require(!items.are_wanted() || std::cmp_less_equal(encoding.ids.size(), max_rows),
              "got {} tokens, expected at most {} (the session's max_rows)", encoding.ids.size(),
              max_rows);
      result.ids.insert(result.ids.end(), encoding.ids.begin(), encoding.ids.end());
      result.types.insert(result.types.end(), encoding.type_ids.begin(), encoding.type_ids.end());
      result.cut.back() = encoding.is_cut ? 1 : 0;
      result.pool_from.push_back(encoding.pool_from);
      items.keep(s);
    } catch (const Error& error) {
      items.fail(s, error);
    }
    result.offsets.push_back(std::ssize(result.ids));
  }
  if (require_tokens(model.package().program).type_vocab_size == 0) {
    std::fill(result.types.begin(), result.types.end(), 0);
  }
  return result;
}

void TokenizedTexts::write_cut() const noexcept {
  if (!is_cut.empty()) std::copy(cut.begin(), cut.end(), is_cut.begin());
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
    const TokenizedTexts tokens = tokenize(*object, texts, items, 0);
    for (const std::int32_t left_out : tokens.pool_from) {
      if (left_out == 0) continue;
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
    tokens.write_cut();
  });
}
