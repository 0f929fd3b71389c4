// SPDX-License-Identifier: Apache-2.0
// Symmetric 8-bit quantisation of a row, the obvious way, and exact sums of products.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/types.hpp"

namespace tessera::reference {

struct QuantizedRow {
  std::vector<std::int32_t> q;
  float scale = 0;
};

/// scale = max|x|/127, q = x·(127/max|x|) to nearest even; zeros below 2⁻¹⁰⁰, NaN if one is not finite.
inline QuantizedRow quantize(std::span<const float> x) {
  QuantizedRow row{std::vector<std::int32_t>(x.size()), 0};
  float m = 0;
  for (const float v : x) {
    if (!std::isfinite(v)) {
      row.scale = std::numeric_limits<float>::quiet_NaN();
      return row;
    }
    m = std::max(m, std::abs(v));
  }
  if (m < 0x1p-100F) return row;
  row.scale = m / 127.0F;
  const float inverse = 127.0F / m;
  for (std::size_t j = 0; j < x.size(); ++j) {
    const float product = x[j] * inverse;
    row.q[j] = static_cast<std::int32_t>(std::nearbyint(product));
  }
  return row;
}

/// Σ_k a[i,k] w[j,k]; a (M,K), w (N,K)
inline std::vector<std::int64_t> integer_gemm(std::span<const std::int32_t> a,
                                              std::span<const std::int32_t> w, Index M, Index N,
                                              Index K) {
  std::vector<std::int64_t> c;
  for (Index i = 0; i < M; ++i) {
    for (Index j = 0; j < N; ++j) {
      std::int64_t sum = 0;
      for (Index k = 0; k < K; ++k) {
        sum += std::int64_t{a[static_cast<std::size_t>(i * K + k)]} *
               w[static_cast<std::size_t>(j * K + k)];
      }
      c.push_back(sum);
    }
  }
  return c;
}

}  // namespace tessera::reference
