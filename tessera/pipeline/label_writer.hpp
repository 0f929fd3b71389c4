// SPDX-License-Identifier: Apache-2.0
// Logits to lines: labels and what the head says about them (scoring.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/package.hpp"
#include "runtime/base/tensor_view.hpp"
#include "tessera/pipeline/scoring.hpp"

namespace tessera {

/// The best `count` of `labels` by their scores, falling, as JSON, {"labels": [...]}, or between tabs.
std::string labels_line(std::span<const std::string> labels, const std::vector<double>& scores,
                        std::size_t count, bool is_json, bool are_probabilities = true);

class LabelWriter {
 public:
  /// `width`: logits per row. `top_k`: labels to show; 0: the best, or all if several may hold.
  LabelWriter(const models::Package& package, Index width, bool is_json, Index top_k);

  /// One line for a text or an image; `path` comes first where it is given.
  std::string line(std::span<const float> logits, std::optional<std::string_view> path = {}) const;

  /// The tokens of a text with their labels. Special tokens of the template are left out.
  /// `encoding` is empty for a sequence that was given as `ids`.
  std::string token_lines(std::string_view given, const text::Encoding& encoding,
                          std::span<const std::int32_t> ids,
                          const TensorView<const float>& logits) const;

 private:
  std::vector<std::string> labels_;
  Scoring scoring_;
  bool is_json_;
  std::size_t shown_ = 1;  // labels per line
};

}  // namespace tessera
