// SPDX-License-Identifier: Apache-2.0
//
// The heads of one row of Q or K, in place: the norm of each head (Qwen3, Gemma 3), then its rotation by
// the row's position (Su et al. 2021, RoFormer; half-split as in GPT-NeoX, interleaved as in GPT-J).
//
//   z  = x · γ / √(Σ x² / d + ε)               over the d columns of the head; z = x without γ
//   y₁ = z₁ cos θ − z₂ sin θ                   z₁, z₂: columns j and j + R/2, or 2j and 2j + 1
//   y₂ = z₂ cos θ + z₁ sin θ                   j < R/2; columns from R on stay z
//
// A head is in L1; its row of cosines and sines is the same for all heads.
#pragma once

#include "kernels/rows/rows.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
TESSERA_INLINE void normalize_head(float* x, Index d, const float* gamma, float eps) noexcept {
  const F32<A> squares = sum_vectors<A>(d, [&](Index j, Index n) {
    const F32<A> v = load_n<A>(x + j, n);
    return v * v;
  });
  const float mean = hsum<A>(squares) / static_cast<float>(d);
  const F32<A> rstd = splat<A>(1.0F / square_root(mean + eps));
  for_each_vector<A>(d, [&](Index j, Index n) {
    store_n<A>(x + j, n, load_n<A>(x + j, n) * rstd * load_n<A>(gamma + j, n));
  });
}

template <class A>
TESSERA_INLINE void rotate_halves(float* x, const float* cos, const float* sin,
                                  Index pairs) noexcept {
  for_each_vector<A>(pairs, [&](Index j, Index n) {
    const F32<A> z1 = load_n<A>(x + j, n), z2 = load_n<A>(x + pairs + j, n);
    const F32<A> c = load_n<A>(cos + j, n), s = load_n<A>(sin + j, n);
    store_n<A>(x + j, n, neg_mul_add<A>(z2, s, z1 * c));
    store_n<A>(x + pairs + j, n, mul_add<A>(z1, s, z2 * c));
  });
}

/// No published encoder that is fast elsewhere pairs neighbours: one number at a time.
TESSERA_INLINE void rotate_neighbours(float* x, const float* cos, const float* sin,
                                      Index pairs) noexcept {
  for (Index j = 0; j < pairs; ++j) {
    const float z1 = x[2 * j], z2 = x[2 * j + 1];
    x[2 * j] = z1 * cos[j] - z2 * sin[j];
    x[2 * j + 1] = z2 * cos[j] + z1 * sin[j];
  }
}

template <class A>
void rotate_heads(const RotateHeads& r) noexcept {
  for (Index h = 0; h < r.heads; ++h) {
    float* const x = r.x + h * r.d;
    if (r.gamma != nullptr) normalize_head<A>(x, r.d, r.gamma, r.eps);
    if (r.pairs == 0) continue;
    if (r.neighbours) {
      rotate_neighbours(x, r.cos, r.sin, r.pairs);
    } else {
      rotate_halves<A>(x, r.cos, r.sin, r.pairs);
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
