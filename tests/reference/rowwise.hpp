// SPDX-License-Identifier: Apache-2.0
//
// LayerNorm and L2 normalisation of one row in double. Beside each value a bound of the
// rounding error of an f32 evaluation that sums in at least 4 chains: n = N/4 + 16 roundings, γ_n
// of support/tolerance.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/types.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::reference {

struct Bounded {
  std::vector<double> value;  // (N)
  std::vector<double> bound;  // (N)
};

/// z (N) = x + residual, in double.
///
/// δ = (γ_n + 2u)(mean|z| + max|z|) bounds the error of z − μ (rounding of z and the error of μ).
/// The variance is relatively off by γ_n + 2δ/σ, and y by half of that, from c = z − μ by δ/σ.
/// `of_squares` (RMSNorm): μ = 0, and nothing is off by it.
inline Bounded layer_norm(const std::vector<double>& z, const float* gamma, const float* beta,
                          double eps, bool of_squares = false) {
  const double N = static_cast<double>(z.size());
  double mean = 0, mean_abs = 0, max_abs = 0, variance = 0;
  for (const double v : z) {
    mean += v / N;
    mean_abs += std::abs(v) / N;
    max_abs = std::max(max_abs, std::abs(v));
  }
  if (of_squares) mean = 0;
  for (const double v : z) variance += (v - mean) * (v - mean) / N;
  const double rstd = 1 / std::sqrt(variance + eps);
  const double u = test::kUnitRoundoff;
  const double gamma_n = test::gamma(static_cast<Index>(z.size()) / 4 + 16);
  const double delta = (gamma_n + 2 * u) * (mean_abs + max_abs);
  Bounded y;
  for (std::size_t j = 0; j < z.size(); ++j) {
    const double g = static_cast<double>(gamma[j]), b = static_cast<double>(beta[j]);
    const double scaled = (z[j] - mean) * rstd * g;
    y.value.push_back(scaled + b);
    y.bound.push_back(rstd * std::abs(g) * delta +
                      std::abs(scaled) * (gamma_n + 8 * u + 2 * delta * rstd) +
                      4 * u * (std::abs(b) + std::abs(scaled + b)) + test::kSmallestDenormal);
  }
  return y;
}

inline Bounded l2_normalize(const float* x, Index N, double eps) {
  double squares = 0;
  for (Index j = 0; j < N; ++j) squares += static_cast<double>(x[j]) * static_cast<double>(x[j]);
  const double norm = std::sqrt(squares);
  Bounded y;
  for (Index j = 0; j < N; ++j) {
    const double v = static_cast<double>(x[j]) / (norm < eps ? eps : norm);
    y.value.push_back(v);
    y.bound.push_back(std::abs(v) * (test::gamma(N / 4 + 16) + 4 * test::kUnitRoundoff) +
                      test::kSmallestDenormal);
  }
  return y;
}

}  // namespace tessera::reference
