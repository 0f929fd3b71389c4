// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/difference.hpp"

#include <cmath>
#include <limits>
#include <span>

namespace tessera {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double length_of(std::span<const float> row) noexcept {
  double sum = 0;
  for (const float x : row) sum += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(sum);
}

/// 1 − cos(a, b).
double turned(std::span<const float> a, std::span<const float> b) noexcept {
  const double of_a = length_of(a), of_b = length_of(b);
  if (!std::isfinite(of_a) || !std::isfinite(of_b)) return kNaN;
  if (of_a == 0 || of_b == 0) return of_a == of_b ? 0 : 1;
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    const double d = static_cast<double>(a[j]) / of_a - static_cast<double>(b[j]) / of_b;
    sum += d * d;
  }
  return sum / 2;
}

/// The larger one; NaN if either is.
double larger(double a, double b) noexcept {
  if (std::isnan(a) || std::isnan(b)) return kNaN;
  return a < b ? b : a;
}

}  // namespace

Difference difference_of(TensorView<const float> a, TensorView<const float> b) noexcept {
  Difference result;
  double most_of_b = 0;
  for (Index i = 0; i < a.rows; ++i) {
    const std::span<const float> x = a.row(i), y = b.row(i);
    const double cosine = turned(x, y);
    if (!std::isnan(result.worst) && !(cosine <= result.worst)) {
      result.worst = cosine;
      result.worst_row = i;
    }
    result.mean += cosine / static_cast<double>(a.rows);
    for (std::size_t j = 0; j < x.size(); ++j) {
      const auto left = static_cast<double>(x[j]), right = static_cast<double>(y[j]);
      if (!std::isfinite(x[j])) ++result.not_finite[0];
      if (!std::isfinite(y[j])) ++result.not_finite[1];
      result.most = larger(result.most, std::fabs(left - right));
      most_of_b = larger(most_of_b, std::fabs(right));
    }
  }
  result.relative = result.most == 0 ? 0 : result.most / most_of_b;
  return result;
}

}  // namespace tessera
