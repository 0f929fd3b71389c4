// SPDX-License-Identifier: Apache-2.0
//
// What a vector is. `Words<A>` is the vocabulary of one instruction set, one file each (sse42, avx2,
// avx512); simd.inl.hpp gives its words names and adds what follows from them. A level's source
// includes its own file alone: the intrinsics of another would not compile there.
#pragma once

// GCC 12's own intrinsics start from an uninitialised source register and then warn about it (PR
// 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <xsimd/xsimd.hpp>

#include "kernels/extents.hpp"
#include "kernels/types.hpp"

#define TESSERA_INLINE inline __attribute__((always_inline))

namespace tessera::kernels {
namespace {

// A: xsimd::sse4_2, xsimd::fma3<xsimd::avx2>, xsimd::avx512bw
template <class A>
using F32 = xsimd::batch<float, A>;
template <class A>
using I32 = xsimd::batch<std::int32_t, A>;

/// n vectors, and m rows of n vectors, meant to live in registers.
template <class A, int n>
using Vectors = F32<A>[static_cast<std::size_t>(n)];
template <class A, int m, int n>
using Tile = F32<A>[static_cast<std::size_t>(m)][static_cast<std::size_t>(n)];

/// Lanes of one vector: 4, 8 or 16.
template <class A>
inline constexpr Index kLanes = static_cast<Index>(F32<A>::size);

constexpr float kInf = __builtin_inff();

/// One instruction set: what simd.inl.hpp documents under the same names.
template <class A>
struct Words;

}  // namespace
}  // namespace tessera::kernels
