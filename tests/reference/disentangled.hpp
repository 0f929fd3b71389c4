// SPDX-License-Identifier: Apache-2.0
//
// Disentangled attention of one head in double, the obvious way, and a bound of the error of an f32
// evaluation.
//
//   P = LayerNorm(E) · Wᵀ + b       rows of distances
//   s_ij = scale·(q_i·k_j + q_i·P_key[δ] + k_j·P_query[δ])
//   O = softmax(s) V
//
// An element of P is off by γ_{K+12}·(Σ|e w| + |b|), the norm's own roundings among them; a score by the
// three products' γ_{d+6} and by what P is off by; O by twice the largest of these times Σ p|v|, and by
// what attention.hpp bounds besides.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tests/support/tolerance.hpp"

namespace tessera::reference {

struct Bounded {
  double value = 0, bound = 0;
};

/// Element n of row r of P; E (R,K), W (N,K). gamma and beta may be empty.
inline Bounded projected(std::span<const float> E, std::span<const float> W,
                         std::span<const float> b, std::span<const float> gamma,
                         std::span<const float> beta, double eps, Index K, Index r, Index n) {
  const auto e = [&](Index k) {
    return static_cast<double>(E[static_cast<std::size_t>(r * K + k)]);
  };
  double mean = 0, var = 0;
  for (Index k = 0; k < K; ++k) mean += e(k) / static_cast<double>(K);
  for (Index k = 0; k < K; ++k) var += (e(k) - mean) * (e(k) - mean) / static_cast<double>(K);
  Bounded sum{static_cast<double>(b[static_cast<std::size_t>(n)]), 0};
  double magnitude = std::abs(sum.value);
  for (Index k = 0; k < K; ++k) {
    const auto at = static_cast<std::size_t>(k);
    double x = e(k), size = std::abs(x);
    if (!gamma.empty()) {
      const double g = static_cast<double>(gamma[at]), shift = static_cast<double>(beta[at]);
      x = (x - mean) / std::sqrt(var + eps) * g + shift;
      size = (size + std::abs(mean)) / std::sqrt(var + eps) * std::abs(g) + std::abs(shift);
    }
    const double w = static_cast<double>(W[static_cast<std::size_t>(n * K + k)]);
    sum.value += x * w;
    magnitude += size * std::abs(w);
  }
  sum.bound = test::gamma(K + 12) * magnitude;
  return sum;
}

/// One row of O. Elements are asked for: q(n), k(j,n), v(j,n), key(j,n) and query(j,n) of the distance
/// from key j; the last two Bounded, of zeros where there is no such term.
template <class Q, class K, class V, class Key, class Query>
std::vector<Bounded> disentangled_row(Index Tk, Index d, double scale, Q&& q, K&& k, V&& v,
                                      Key&& key, Query&& query) {
  std::vector<double> p(static_cast<std::size_t>(Tk));
  double most = -HUGE_VAL, least = HUGE_VAL, delta = 0;
  for (Index j = 0; j < Tk; ++j) {
    double s = 0, magnitude = 0, off = 0;
    for (Index n = 0; n < d; ++n) {
      const Bounded to_key = key(j, n), to_query = query(j, n);
      s += q(n) * k(j, n) + q(n) * to_key.value + k(j, n) * to_query.value;
      magnitude += std::abs(q(n) * k(j, n)) + std::abs(q(n) * to_key.value) +
                   std::abs(k(j, n) * to_query.value);
      off += std::abs(q(n)) * to_key.bound + std::abs(k(j, n)) * to_query.bound;
    }
    p[static_cast<std::size_t>(j)] = s * scale;
    most = std::max(most, s * scale);
    least = std::min(least, s * scale);
    delta = std::max(delta, scale * (test::gamma(d + 12) * magnitude + off));
  }
  double l = 0;
  for (double& s : p) l += s = std::exp(s - most);
  const double u = test::kUnitRoundoff;
  const double epsilon =
      2 * delta + u * std::min(most - least, 90.0) + 8 * u * static_cast<double>(Tk / 32 + 2);
  std::vector<Bounded> row;
  for (Index n = 0; n < d; ++n) {
    Bounded o;
    double magnitude = 0, largest = 0;
    for (Index j = 0; j < Tk; ++j) {
      const double weight = p[static_cast<std::size_t>(j)] / l;
      o.value += weight * v(j, n);
      magnitude += weight * std::abs(v(j, n));
      largest = std::max(largest, std::abs(v(j, n)));
    }
    o.bound = (2 * epsilon + test::gamma(Tk + 8)) * magnitude +
              static_cast<double>(Tk) * 0x1p-125 * largest;
    row.push_back(o);
  }
  return row;
}

}  // namespace tessera::reference
