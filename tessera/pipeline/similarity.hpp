// SPDX-License-Identifier: Apache-2.0
// Exact search by cosine: normalised rows, dot products, the k best.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/types.hpp"
#include "models/package.hpp"

namespace tessera {

/// Divides every row of `rows` (n, width) by its length; a row of zeros stays.
void normalize_rows(std::span<float> rows, Index width) noexcept;

/// ⟨a, b⟩ of equally many floats, in one order of summation.
float dot(std::span<const float> a, std::span<const float> b) noexcept;

/// The widest rows that are read from files and callers.
inline constexpr Index kMostWidth = Index{1} << 24;

/// The position of the first infinity or NaN; row.size() if there is none.
std::size_t first_not_finite(std::span<const float> row) noexcept;

struct Hit {
  std::size_t row;
  float score;
};

/// The `count` rows of `rows` (n, width) with the largest dot product with `query` (width): falling
/// score, ties by index.
std::vector<Hit> best_rows(std::span<const float> rows, std::span<const float> query,
                           std::size_t count);

double sigmoid(float x) noexcept;
std::vector<double> softmax(std::span<const float> logits);
/// What the towers of a model say of one image and the texts with these logits.
std::vector<double> probabilities(const models::Similarity& similarity,
                                  std::span<const float> logits);
/// Indices by falling score, ties by index; at most `count`.
std::vector<std::size_t> ranked(const std::vector<double>& scores, std::size_t count);

}  // namespace tessera
