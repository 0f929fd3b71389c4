// SPDX-License-Identifier: Apache-2.0
// The texts of a call as token ids.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tessera/c_api/encode.hpp"
#include "tessera/c_api/item_statuses.hpp"
#include "tessera/c_api/objects.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera::c_api {

struct TokenizedTexts {
  std::vector<std::int32_t> ids;        // (ΣT)
  std::vector<std::int32_t> types;      // (ΣT); all 0 for a model that has none
  std::vector<std::int64_t> offsets;    // (S+1)
  std::vector<std::int32_t> pool_from;  // (kept) tokens of a prompt that poolings leave out
  std::vector<unsigned char> cuts;      // (S) 1 where tokens were left out
};

/// A caller's texts, looked at.
class GivenTexts {
 public:
  /// `name`: what messages call them. Throws Error{invalid_argument}.
  GivenTexts(const tessera_texts* texts, const char* name);

  std::size_t size() const noexcept { return texts_.size(); }
  bool has_pairs() const noexcept { return given_.pairs != nullptr; }
  bool has_prompt() const noexcept {
    return given_.prompt != nullptr || given_.prompt_name != nullptr;
  }
  /// What is said about the way from text to tokens.
  TextOptions options() const;
  bool wants_cuts() const noexcept { return !is_cut_.empty(); }
  /// Throws Error{invalid_argument} for one that is NULL.
  std::string_view text(std::size_t index) const { return at(texts_, lengths_, index, "texts"); }
  std::string_view pair(std::size_t index) const {
    return at(pairs_, pair_lengths_, index, "pairs");
  }
  /// At the end of a call: 1 for each text that was cut.
  void write_cuts(const std::vector<unsigned char>& cuts) const;

 private:
  std::string_view at(std::span<const char* const> texts, std::span<const std::size_t> lengths,
                      std::size_t index, const char* field) const;

  tessera_texts given_;
  const char* name_;
  std::span<const char* const> texts_;
  std::span<const char* const> pairs_;
  std::span<const std::size_t> lengths_, pair_lengths_;
  std::span<unsigned char> is_cut_;
};

/// Takes one encoding after another.
class TokenizedTextsBuilder {
 public:
  /// Texts that fail, or have more than `max_rows` tokens while statuses are wanted, are told to
  /// `items` and have no tokens.
  TokenizedTextsBuilder(ItemStatuses& items, Index max_rows, const RunLimits& limits)
      : items_(items), max_rows_(max_rows), limits_(limits) {}

  /// The next text: `encode` gives its text::Encoding, or throws an Error. Throws Error{cancelled}.
  template <class Encode>
  void add(const Encode& encode) {
    limits_.check();
    const std::size_t index = tokens_.cuts.size();
    tokens_.cuts.push_back(0);
    try {
      append(encode());
      items_.keep(index);
    } catch (const Error& error) {
      items_.fail(index, error);
    }
    tokens_.offsets.push_back(std::ssize(tokens_.ids));
  }
  TokenizedTexts finish(const ModelObject& model);

 private:
  void append(const text::Encoding& encoding);

  ItemStatuses& items_;
  Index max_rows_;
  const RunLimits& limits_;
  TokenizedTexts tokens_ = {.ids = {}, .types = {}, .offsets = {0}, .pool_from = {}, .cuts = {}};
};

/// As tessera_tokenize(), by `inputs`.
TokenizedTexts tokenize(const ModelObject& model, const TextInputs& inputs, const GivenTexts& texts,
                        ItemStatuses& items, Index max_rows, const RunLimits& limits);

}  // namespace tessera::c_api
