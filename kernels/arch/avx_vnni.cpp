// SPDX-License-Identifier: Apache-2.0
// What the level "avx_vnni" adds or beats: products of s8.
#include "kernels/simd/avx2.inl.hpp"
// (first: the vocabulary that the kernels are written in)
#include "kernels/arch/s8_dot.inl.hpp"

namespace tessera::kernels {
namespace {

struct Dot {
  static TESSERA_INLINE __m256 add(__m256 c, __m256 a, __m256 b) noexcept {
    return _mm256_castsi256_ps(_mm256_dpbusd_avx_epi32(
        _mm256_castps_si256(c), _mm256_castps_si256(a), _mm256_castps_si256(b)));
  }
};

}  // namespace

// 6x16: 12 accumulators + 2 B + 1 A of 16 ymm; ternary 4x24: 12 + 3 + 1, few rows 3x24: 9 + 3 + 1, and
// what decodes a row
constinit const KernelTable kAvxVnniTable =
    s8_kernels<xsimd::fma3<xsimd::avx2>, Dot, 6, TernaryTile{1, 3, 4, 3, 8}>(Isa::avx_vnni);

}  // namespace tessera::kernels
