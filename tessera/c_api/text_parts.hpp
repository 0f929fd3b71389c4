// SPDX-License-Identifier: Apache-2.0
// Texts of which the model reads several sequences each: windows, or the text beside every label.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tessera/c_api/item_statuses.hpp"
#include "tessera/c_api/texts.hpp"
#include "tessera/pipeline/sequences.hpp"

namespace tessera::c_api {

class TextParts {
 public:
  /// Texts that fail are told to `items`, which has begun, and have no parts.
  TextParts(SharedSession& session, ItemStatuses& items, const RunLimits& limits)
      : session_(session), items_(items), limits_(limits) {}

  /// The next text: `encode` gives its encodings, or throws an Error. Throws Error{cancelled}.
  template <class Encode>
  void add(const Encode& encode) {
    limits_.check();
    const std::size_t index = begin_.size() - 1;
    try {
      for (text::Encoding& encoding : encode()) append(std::move(encoding));
      items_.keep(index);
    } catch (const Error& error) {
      encodings_.resize(begin_.back());
      items_.fail(index, error);
    }
    begin_.push_back(encodings_.size());
  }

  /// Computes the outputs `names` of every part.
  void compute(std::span<const char* const> names);

  /// The parts of text number `text`.
  std::size_t begin(std::size_t text) const noexcept { return begin_[text]; }
  std::size_t end(std::size_t text) const noexcept { return begin_[text + 1]; }
  const text::Encoding& encoding(std::size_t part) const noexcept { return encodings_[part]; }
  const TokenSequence& sequence(std::size_t part) const noexcept { return sequences_[part]; }
  /// (T, width), or (1, width).
  TensorView<const float> output(std::size_t part, std::size_t output) const noexcept;

 private:
  struct Output {
    Index width;
    bool is_per_token;
    std::vector<float> rows;
  };
  void append(text::Encoding encoding);

  SharedSession& session_;
  ItemStatuses& items_;
  const RunLimits& limits_;
  std::vector<std::size_t> begin_{0};  // (S+1)
  std::vector<text::Encoding> encodings_;
  std::vector<TokenSequence> sequences_;  // of the encodings, once they are computed
  std::vector<std::int64_t> offsets_{0};  // rows of the parts
  std::vector<Output> outputs_;
};

}  // namespace tessera::c_api
