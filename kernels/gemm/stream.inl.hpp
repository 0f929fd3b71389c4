// SPDX-License-Identifier: Apache-2.0
//
// What a GEMM micro-kernel prefetches of B while it multiplies.
#pragma once

#include "kernels/gemm/gemm.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

// Prefetching of B. The next panel follows in memory, so a distance may pass the end of one; a
// prefetch never faults.
//
//   near, 2 KiB into L1:   16 steps of 128 B at NR = 32, so at least 16·mr cycles ahead: covers the
//                          latency of L2 (15 cycles) and of L3 (70) from mr = 2, 5 on. Costs
//                          nothing where B is in L2.
//   far,  8 KiB into L2:   64 steps, at least 64·mr cycles: covers that of memory (300); two 4 KiB
//                          pages ahead, while the hardware prefetchers stop at page boundaries.
//                          From 4 rows on; with fewer the loads themselves are the limit.
//
//   Two to four rows of whole numbers take a panel's bytes faster than memory gives them: one panel at a
//   time, twice as far (4 and 16 KiB), took 0.87 to 0.90 of the time of two or four at once, from memory
//   ((2304,768), (3072,768), (768,768); Zen 4; (768,3072): about the same).
//
// The caller's `ahead` takes the place of far; `resident` switches far off. Emerald Rapids,
// AVX-512, ratios of medians of interleaved runs (bench_gemm):
//
//   weights in memory, (768,768)   far against near alone     1.09, 1.2, 1.17 at mr = 4, 8, 12
//                                  `ahead` against near alone 1.2, 1.32, 1.25 at M = 16, 32, 64
//   weights in L2, (384,384)       neither against far        1.15, 1.04 at mr = 4, 8; against
//                                  `ahead` 1.04, 1.02 at M = 16, 32
//   weights in L3                  neither against far        1.05 at mr = 8 (1024,1024): the
//                                  requests stand in the way of the hardware's own
//   (5120,1280)                    `ahead` against neither    1.13, 1.05, 1.02 at M = 16, 32, 64
inline constexpr Index kNearBytes = 2048;
inline constexpr Index kFarBytes = 8192;
inline constexpr Index kLineBytes = 64;

/// What a pass prefetches into L2, line by line in every fourth step.
struct Stream {
  const char* at;   // of the first panel
  const char* due;  // up to here by now
  Index step;       // bytes per four steps
  Index stride;     // bytes from panel to panel

  template <int panels>
  TESSERA_INLINE void next() noexcept {
    due += step;
    for (; at < due; at += kLineBytes) {
#pragma GCC unroll 4
      for (int p = 0; p < panels; ++p) _mm_prefetch(at + p * stride, _MM_HINT_T1);
    }
  }
};

/// For the pass over `panels` panels from column j0 on, in `words` steps: its share of `ahead`, or
/// what follows the panels themselves, at their own pace.
template <Index NR, Index row_bytes, Index kDistance = kFarBytes>
TESSERA_INLINE Stream stream_of(const GemmTile& t, Index words, Index j0, int panels) noexcept {
  if (t.ahead == nullptr) {
    const char* at = static_cast<const char*>(t.b) + j0 / NR * t.ldb + kDistance;
    return {at, at, 4 * row_bytes, t.ldb};
  }
  const Index passes = (t.nr + panels * NR - 1) / (panels * NR);
  const Index share = (t.ahead_bytes + passes - 1) / passes;
  const char* at = static_cast<const char*>(t.ahead) + j0 / (panels * NR) * share;
  return {at, at, (4 * share + words - 1) / words, 0};
}

}  // namespace
}  // namespace tessera::kernels
