// SPDX-License-Identifier: Apache-2.0
// Exact search: how well two vectors agree, and the k rows that agree best.
//
//   cosine     ⟨a,b⟩ / (‖a‖·‖b‖)     rows and query have length 1, then ⟨a,b⟩
//   dot        ⟨a,b⟩
//   euclidean  −‖a−b‖₂
//   manhattan  −‖a−b‖₁               sentence-transformers, util.similarity
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/types.hpp"
#include "models/package.hpp"

namespace tessera {

/// Divides every row of `rows` (n, width) by its length; a row of zeros stays, and so does one whose
/// length is 1 up to rounding, bit for bit.
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

/// How well a and b, equally many floats, agree: larger is better. Of cosine both have length 1.
float agreement(models::SimilarityMeasure measure, std::span<const float> a,
                std::span<const float> b) noexcept;

/// The `count` rows of `rows` (n, width) that agree best with `query` (width): falling score, ties
/// by index. Of cosine all of them have length 1.
std::vector<Hit> best_rows(std::span<const float> rows, std::span<const float> query,
                           std::size_t count,
                           models::SimilarityMeasure measure = models::SimilarityMeasure::cosine);

double sigmoid(float x) noexcept;
std::vector<double> softmax(std::span<const float> logits);
/// What the towers of a model say of one image and the texts with these logits.
std::vector<double> probabilities(const models::Similarity& similarity,
                                  std::span<const float> logits);
/// Indices by falling score, ties by index; at most `count`.
std::vector<std::size_t> ranked(const std::vector<double>& scores, std::size_t count);

}  // namespace tessera
