// SPDX-License-Identifier: Apache-2.0
//
// Probes: the smallest loops that run one resource of a core at its limit. Their rates are what the
// planner and the benchmarks compare with.
//
//   FLOP/s    12 independent chains x = x·y + z in registers: latency 4 × 2 ports = 8 fill the
//             pipes, 12 leave slack. Without FMA a multiplication and an addition count 2 FLOP too.
//             In other precisions: a register tile of 4 or 8 x 2 vectors, as the GEMM forms it.
//   bytes/s   reads through 8 accumulators; the size of the buffer picks the level of the memory.
//   2ˣ/s      exp2 as attention evaluates it, 4 vectors at a time.
#pragma once

#include "kernels/gemm/elements.inl.hpp"
#include "kernels/probe/probe.hpp"
#include "kernels/simd/math.inl.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// Keeps x in a register and the compiler from knowing its value.
template <class A>
TESSERA_INLINE void opaque(F32<A>& x) noexcept {
  auto r = static_cast<typename F32<A>::register_type>(x);
  asm volatile("" : "+v"(r));
  x = r;
}

template <class A>
double fma_probe(Index rounds) noexcept {
  constexpr int kChains = 12;
  F32<A> x = splat<A>(0.5F), y = splat<A>(0.999F);
  opaque<A>(x);
  opaque<A>(y);
  Vectors<A, kChains> c;
#pragma GCC unroll 12
  for (auto& chain : c) chain = x;
  for (Index r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (auto& chain : c) {
      chain = mul_add<A>(chain, y, x);
      opaque<A>(chain);
    }
  }
  return 2.0 * kChains * static_cast<double>(kLanes<A> * rounds);
}

/// Tiles c[i][v] += a[i]·b[v] of the words that E multiplies; what E does to a word of A or B it
/// does every time.
template <class A, class E>
double products_probe(Index rounds) noexcept {
  constexpr int kRows = kRegisters<A> == 32 ? 8 : 4, kColumns = 2;
  // bf16 pairs (1, 1)
  float word = __builtin_bit_cast(float, 0x3F803F80);
  asm volatile("" : "+m"(word));
  Tile<A, kRows, kColumns> c;
#pragma GCC unroll 8
  for (auto& row : c) {
#pragma GCC unroll 2
    for (auto& x : row) x = splat<A>(0.0F);
  }
  for (Index r = 0; r < rounds; ++r) {
    typename E::Factor b[kColumns];
#pragma GCC unroll 2
    for (auto& factor : b) {
      F32<A> words = splat<A>(word);
      opaque<A>(words);
      factor = E::factor_of(words);
    }
#pragma GCC unroll 8
    for (auto& row : c) {
      F32<A> words = splat<A>(word);
      opaque<A>(words);
      const typename E::Factor a = E::factor_of(words);
#pragma GCC unroll 2
      for (int v = 0; v < kColumns; ++v) row[v] = E::mul_add(a, b[v], row[v]);
    }
  }
#pragma GCC unroll 8
  for (auto& row : c) {
#pragma GCC unroll 2
    for (auto& x : row) still_used<A>(x);
  }
  return 2.0 * kRows * kColumns * static_cast<double>(E::kKR * kLanes<A> * rounds);
}

template <class A>
float read_probe(const float* p, Index n) noexcept {
  constexpr Index V = kLanes<A>;
  Vectors<A, 8> s;
#pragma GCC unroll 8
  for (auto& sum : s) sum = splat<A>(0.0F);
  for (Index i = 0; i + 8 * V <= n; i += 8 * V) {
#pragma GCC unroll 8
    for (Index v = 0; v < 8; ++v) s[v] = s[v] + load<A>(p + i + v * V);
  }
  return hsum<A>(((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])));
}

template <class A>
double exp2_probe(Index rounds) noexcept {
  constexpr int kVectors = 4;
  Vectors<A, kVectors> x;
  float value = -0.3F;
#pragma GCC unroll 4
  for (auto& v : x) v = splat<A>(value -= 1.7F);
  for (Index r = 0; r < rounds; ++r) {
#pragma GCC unroll 4
    for (auto& v : x) {
      opaque<A>(v);
      F32<A> y = exp2<A>(v);
      opaque<A>(y);
    }
  }
  return kVectors * static_cast<double>(kLanes<A> * rounds);
}

}  // namespace
}  // namespace tessera::kernels
