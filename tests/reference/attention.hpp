// SPDX-License-Identifier: Apache-2.0
//
// O = softmax(scale·QKᵀ + bias) V of one query row in double, the obvious way, and a bound of the
// rounding error of any f32 evaluation.
//
//   δ_j = γ_{d+4}·scale·Σ_k|q_k k_jk| + 8u(|bias| + |s_j|)        score j
//   ε   = 2 max δ_j + u·range + 8u·(tiles + 2)                      P and its corrections α, one
//   per key tile |ô_n − o_n| ≤ (2ε + γ_{Tk+8})·Σ_j p_j|v_jn| + Tk·2⁻¹²⁵ max|v|     numerator and
//   sum; P underflows to 0
//
// 2 max δ: a score is accumulated on top of −m, where m is another score. A tile may hold as few as
// 32 keys.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::reference {

/// The definition of AttentionMask, term by term.
inline bool is_visible(const kernels::AttentionMask& mask, Index r) {
  if (mask.kind == kernels::MaskKind::band) return -mask.left <= r && r <= mask.right;
  if (mask.kind == kernels::MaskKind::log_sparse_causal && r > 0) return false;
  const Index delta = r < 0 ? -r : r;
  const Index t = mask.restart > 0 ? delta % mask.restart : delta;
  if (t < mask.local) return true;
  for (Index power = 1; power <= t; power *= 2) {
    if (t - mask.local + 1 == power) return true;
  }
  return false;
}

/// Element n of row i of Q, K or V.
inline double attention_element(const void* x, Index ld, Index i, Index n) {
  return static_cast<double>(static_cast<const float*>(x)[i * ld + n]);
}

/// scale·q·k + bias of query i and key j, and δ.
inline double attention_score(const kernels::AttentionTask& t, Index i, Index j, double& delta) {
  double sum = 0, magnitude = 0;
  for (Index n = 0; n < t.d; ++n) {
    const double product =
        attention_element(t.q, t.ldq, i, n) * attention_element(t.k, t.ldk, j, n);
    sum += product;
    magnitude += std::abs(product);
  }
  const double scale = static_cast<double>(t.scale);
  double s = sum * scale, b = 0;
  const Index q_column = t.q_columns != nullptr ? t.q_columns[i] : t.q_begin + i;
  const Index k_column = t.k_columns != nullptr ? t.k_columns[j] : j;
  if (t.bias != nullptr) b += static_cast<double>(t.bias[k_column - q_column]);
  b -= static_cast<double>(t.slope) * std::abs(static_cast<double>(k_column - q_column));
  if (t.dense != nullptr) b += static_cast<double>(t.dense[i * t.ld_dense + j]);
  if (!is_visible(t.mask, j - t.q_begin - i)) return -HUGE_VAL;
  s += b;
  if (std::isfinite(s)) {
    delta = std::max(delta, test::gamma(t.d + 4) * std::abs(scale) * magnitude +
                                8 * test::kUnitRoundoff * (std::abs(b) + std::abs(s)));
  }
  return s;
}

/// Row i of O: values (d) and bounds (d) appended.
inline void attention_row(const kernels::AttentionTask& t, Index i, std::vector<double>& value,
                          std::vector<double>& bound) {
  std::vector<double> p;  // (Tk)
  double m = -HUGE_VAL, lowest = HUGE_VAL, l = 0, delta = 0;
  for (Index j = 0; j < t.Tk; ++j) {
    const double s = attention_score(t, i, j, delta);
    p.push_back(s);
    m = std::isnan(s) ? s : std::max(m, s);
    if (std::isfinite(s)) lowest = std::min(lowest, s);
  }
  for (double& s : p) {
    s = m == -HUGE_VAL ? 0.0 : std::exp(s - m);
    l += s;
  }
  const double range = std::isfinite(m) ? std::min(m - lowest, 90.0) : 0.0;
  const double u = test::kUnitRoundoff;
  const double epsilon = 2 * delta + u * range + 8 * u * static_cast<double>(t.Tk / 32 + 2);
  for (Index n = 0; n < t.d; ++n) {
    double o = 0, magnitude = 0, max_abs = 0;
    for (Index j = 0; j < t.Tk; ++j) {
      const double v = attention_element(t.v, t.ldv, j, n);
      const double weight = l == 0.0 ? 0.0 : p[static_cast<std::size_t>(j)] / l;
      o += weight * v;
      magnitude += weight * std::abs(v);
      max_abs = std::max(max_abs, std::abs(v));
    }
    value.push_back(o);
    bound.push_back((2 * epsilon + test::gamma(t.Tk + 8)) * magnitude +
                    static_cast<double>(t.Tk) * 0x1p-125 * max_abs);
  }
}

}  // namespace tessera::reference
