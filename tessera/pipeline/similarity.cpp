// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/similarity.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace tessera {

namespace {

// Σ f(a_i, b_i) in eight partial sums: an order of summation that is fixed and that a compiler can
// hold in registers.
template <class F>
float sum_of(std::span<const float> a, std::span<const float> b, F f) noexcept {
  const std::size_t width = a.size();
  std::array<float, 8> sums{};
  std::size_t i = 0;
  for (; i + 8 <= width; i += 8) {
    for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += f(a[i + lane], b[i + lane]);
  }
  for (std::size_t lane = 0; i < width; ++i, ++lane) sums[lane] += f(a[i], b[i]);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

constexpr double kUnitWithin = 4e-7;  // of ‖row‖²: what rounding each element to f32 can do

}  // namespace

float dot(std::span<const float> a, std::span<const float> b) noexcept {
  return sum_of(a, b, [](float x, float y) { return x * y; });
}

float agreement(models::SimilarityMeasure measure, std::span<const float> a,
                std::span<const float> b) noexcept {
  using models::SimilarityMeasure;
  if (measure == SimilarityMeasure::euclidean) {
    return -std::sqrt(sum_of(a, b, [](float x, float y) { return (x - y) * (x - y); }));
  }
  if (measure == SimilarityMeasure::manhattan) {
    return -sum_of(a, b, [](float x, float y) { return std::abs(x - y); });
  }
  return dot(a, b);
}

std::size_t first_not_finite(std::span<const float> row) noexcept {
  const auto found =
      std::find_if(row.begin(), row.end(), [](float x) { return !std::isfinite(x); });
  return static_cast<std::size_t>(found - row.begin());
}

void normalize_rows(std::span<float> rows, Index width) noexcept {
  const auto step = static_cast<std::size_t>(width);
  for (std::size_t begin = 0; begin + step <= rows.size(); begin += step) {
    const std::span<float> row = rows.subspan(begin, step);
    double sum = 0.0;
    for (const float x : row) sum += static_cast<double>(x) * static_cast<double>(x);
    if (!(sum > 0.0) || std::abs(sum - 1.0) <= kUnitWithin) continue;
    const double scale = 1.0 / std::sqrt(sum);
    for (float& x : row) x = static_cast<float>(static_cast<double>(x) * scale);
  }
}

std::vector<Hit> best_rows(std::span<const float> rows, std::span<const float> query,
                           std::size_t count, models::SimilarityMeasure measure) {
  const std::size_t width = query.size();
  std::vector<Hit> hits(rows.size() / width);
  for (std::size_t row = 0; row < hits.size(); ++row) {
    hits[row] = {row, agreement(measure, rows.subspan(row * width, width), query)};
  }
  count = std::min(count, hits.size());
  // A NaN compares with nothing: it goes last, so that the order stays strict.
  const auto is_better = [](const Hit& a, const Hit& b) {
    const bool a_is_number = !std::isnan(a.score), b_is_number = !std::isnan(b.score);
    if (a_is_number != b_is_number) return a_is_number;
    if (a_is_number && a.score != b.score) return a.score > b.score;
    return a.row < b.row;
  };
  std::partial_sort(hits.begin(), hits.begin() + static_cast<Index>(count), hits.end(), is_better);
  hits.resize(count);
  return hits;
}

double sigmoid(float x) noexcept {
  return 1.0 / (1.0 + std::exp(-static_cast<double>(x)));
}

std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> scores(logits.begin(), logits.end());
  const double highest = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (double& score : scores) sum += score = std::exp(score - highest);
  for (double& score : scores) score /= sum;
  return scores;
}

std::vector<double> probabilities(const models::Similarity& similarity,
                                  std::span<const float> logits) {
  if (!similarity.is_sigmoid) return softmax(logits);
  std::vector<double> scores;
  scores.reserve(logits.size());
  for (const float logit : logits) scores.push_back(sigmoid(logit));
  return scores;
}

std::vector<std::size_t> ranked(const std::vector<double>& scores, std::size_t count) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&scores](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(count, order.size()));
  return order;
}

}  // namespace tessera
