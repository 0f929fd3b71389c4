// SPDX-License-Identifier: Apache-2.0
//
// What this machine can do on one thread, measured in the process and at the moment where it is
// needed: a virtual CPU shares its core, its clock and its memory with strangers, so a peak from a
// data sheet or from yesterday says nothing about the run beside it.
//
//   FLOP/s    12 independent chains x = x·y + z in registers: latency 4 × 2 ports = 8 are enough to
//   fill the
//             pipes, 12 leave slack. Baseline has no FMA: a multiplication and an addition count 2
//             FLOP too.
//   bytes/s   sum over a buffer with 8 accumulators of the widest vectors, repeated: the size of
//   the buffer
//             picks the level of the memory hierarchy. Reads only, as a GEMM reads its weights.
#pragma once

#include <immintrin.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/isa.hpp"
#include "kernels/types.hpp"

namespace tessera::bench {

/// CPU time of the calling thread: on a machine with other users, what the code cost and not what
/// it waited for.
inline double thread_seconds() noexcept {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// n floats on a 2 MiB boundary, offered huge pages: else a GEMM over large weights measures the
/// TLB.
class LargeBuffer {
 public:
  LargeBuffer() = default;
  explicit LargeBuffer(Index n) : n_{n} {
    bytes_ = (static_cast<std::size_t>(n) * sizeof(float) + kHugePage - 1) / kHugePage * kHugePage;
    data_ = static_cast<float*>(::operator new (bytes_, std::align_val_t{kHugePage}));
    madvise(data_, bytes_, MADV_HUGEPAGE);
    std::memset(data_, 0, bytes_);
  }
  LargeBuffer(LargeBuffer&& other) noexcept
      : n_{std::exchange(other.n_, 0)},
        bytes_{std::exchange(other.bytes_, 0)},
        data_{std::exchange(other.data_, nullptr)} {}
  LargeBuffer& operator=(LargeBuffer&& other) noexcept {
    std::swap(n_, other.n_);
    std::swap(bytes_, other.bytes_);
    std::swap(data_, other.data_);
    return *this;
  }
  LargeBuffer(const LargeBuffer&) = delete;
  LargeBuffer& operator=(const LargeBuffer&) = delete;
  ~LargeBuffer() {
    if (data_ != nullptr) ::operator delete (data_, std::align_val_t{kHugePage});
  }

  float* data() noexcept { return data_; }
  const float* data() const noexcept { return data_; }
  [[nodiscard]] Index size() const noexcept { return n_; }

 private:
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;
  Index n_ = 0;
  std::size_t bytes_ = 0;
  float* data_ = nullptr;
};

namespace detail {

// The same text three times over the vector types of three targets; a template cannot carry a
// target. The empty asm after each round keeps the compiler from merging or removing the rounds.
#define TESSERA_ALL_12(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#define TESSERA_START(i) auto c##i = x;
#define TESSERA_KEEP(i) asm volatile("" : "+x"(c##i));
#define TESSERA_PEAK(name, isa, lanes, set1, fma)                           \
  __attribute__((noinline, target(isa))) inline double name(Index rounds) { \
    auto x = set1(0.5F);                                                    \
    auto y = set1(0.999F);                                                  \
    asm volatile("" : "+x"(x), "+x"(y));                                    \
    TESSERA_ALL_12(TESSERA_START)                                           \
    const double start = thread_seconds();                                  \
    for (Index r = 0; r < rounds; ++r) {                                    \
      TESSERA_ALL_12(fma)                                                   \
      TESSERA_ALL_12(TESSERA_KEEP)                                          \
    }                                                                       \
    const double seconds = thread_seconds() - start;                        \
    return 2.0 * 12.0 * (lanes) * static_cast<double>(rounds) / seconds;    \
  }
#define TESSERA_FMA_512(i) c##i = _mm512_fmadd_ps(c##i, y, x);
#define TESSERA_FMA_256(i) c##i = _mm256_fmadd_ps(c##i, y, x);
#define TESSERA_FMA_128(i) c##i = _mm_add_ps(_mm_mul_ps(c##i, y), x);
TESSERA_PEAK(fma_512, "avx512f", 16.0, _mm512_set1_ps, TESSERA_FMA_512)
TESSERA_PEAK(fma_256, "avx2,fma", 8.0, _mm256_set1_ps, TESSERA_FMA_256)
TESSERA_PEAK(fma_128, "sse4.2", 4.0, _mm_set1_ps, TESSERA_FMA_128)
#undef TESSERA_FMA_128
#undef TESSERA_FMA_256
#undef TESSERA_FMA_512
#undef TESSERA_PEAK
#undef TESSERA_KEEP
#undef TESSERA_START
#undef TESSERA_ALL_12

#define TESSERA_ALL_8(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7)
#define TESSERA_ZERO(i) auto s##i = zero;
#define TESSERA_USE(i) asm volatile("" : : "x"(s##i));
#define TESSERA_READ(name, isa, lanes, setzero, add, load)                           \
  __attribute__((noinline, target(isa))) inline void name(const float* p, Index n) { \
    const auto zero = setzero();                                                     \
    TESSERA_ALL_8(TESSERA_ZERO)                                                      \
    for (Index i = 0; i + 8 * (lanes) <= n; i += 8 * (lanes)) {                      \
      TESSERA_ALL_8(load)                                                            \
    }                                                                                \
    TESSERA_ALL_8(TESSERA_USE)                                                       \
  }
#define TESSERA_READ_512(j) s##j = _mm512_add_ps(s##j, _mm512_loadu_ps(p + i + 16 * j));
#define TESSERA_READ_256(j) s##j = _mm256_add_ps(s##j, _mm256_loadu_ps(p + i + 8 * j));
#define TESSERA_READ_128(j) s##j = _mm_add_ps(s##j, _mm_loadu_ps(p + i + 4 * j));
TESSERA_READ(read_512, "avx512f", 16, _mm512_setzero_ps, _mm512_add_ps, TESSERA_READ_512)
TESSERA_READ(read_256, "avx2", 8, _mm256_setzero_ps, _mm256_add_ps, TESSERA_READ_256)
TESSERA_READ(read_128, "sse4.2", 4, _mm_setzero_ps, _mm_add_ps, TESSERA_READ_128)
#undef TESSERA_READ_128
#undef TESSERA_READ_256
#undef TESSERA_READ_512
#undef TESSERA_READ
#undef TESSERA_USE
#undef TESSERA_ZERO
#undef TESSERA_ALL_8

}  // namespace detail

/// Multiply-add peak of one thread at level `isa`, FLOP/s: the best of five runs of about 20 µs
/// each. Precondition: cpu_supports(isa).
inline double fma_peak(Isa isa) {
  constexpr Index kRounds = 8192;  // 12 FMAs at 2 per cycle: 6 cycles a round, 49k cycles a run
  double best = 0.0;
  for (int run = 0; run < 5; ++run) {
    switch (isa) {
      case Isa::baseline:
        best = std::max(best, detail::fma_128(kRounds));
        break;
      case Isa::avx2:
        best = std::max(best, detail::fma_256(kRounds));
        break;
      case Isa::avx512:
        best = std::max(best, detail::fma_512(kRounds));
        break;
    }
  }
  return best;
}

/// Bytes/s of one thread that reads `buffer` again and again.
inline double read_bandwidth(Isa isa, const LargeBuffer& buffer) {
  const double bytes = static_cast<double>(buffer.size()) * sizeof(float);
  const auto passes = static_cast<Index>(std::max(1.0, 64e6 / bytes));
  double best = 0.0;
  for (int run = 0; run < 5; ++run) {
    const double start = thread_seconds();
    for (Index i = 0; i < passes; ++i) {
      switch (isa) {
        case Isa::baseline:
          detail::read_128(buffer.data(), buffer.size());
          break;
        case Isa::avx2:
          detail::read_256(buffer.data(), buffer.size());
          break;
        case Isa::avx512:
          detail::read_512(buffer.data(), buffer.size());
          break;
      }
    }
    const double seconds = thread_seconds() - start;
    best = std::max(best, bytes * static_cast<double>(passes) / seconds);
  }
  return best;
}

/// Size of the last-level cache as the C library reports it; 32 MiB where it reports none.
inline Index last_level_cache_bytes() {
  const long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return bytes > 0 ? static_cast<Index>(bytes) : Index{32} << 20;
}

/// Half of L2, which neither spills into L3 nor fits into L1.
inline double l2_bandwidth(Isa isa) {
  const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return read_bandwidth(isa, LargeBuffer((l2 > 0 ? static_cast<Index>(l2) : 1 << 20) / 2 / 4));
}

/// Twice the last-level cache, at most 1 GiB.
inline double memory_bandwidth(Isa isa) {
  return read_bandwidth(
      isa, LargeBuffer(std::min(2 * last_level_cache_bytes(), Index{1} << 30) / Index{4}));
}

}  // namespace tessera::bench
