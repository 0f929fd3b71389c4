// SPDX-License-Identifier: Apache-2.0
//
// What this machine can do on one thread, measured by the probes of kernels/probe in the process
// and at the moment where it is needed: a virtual CPU shares its core, its clock and its memory
// with strangers, so a peak from a data sheet or from yesterday says nothing about the run beside
// it.
#pragma once

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/kernel_table.hpp"

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

/// Multiply-add peak of one thread at level `isa`, FLOP/s: the best of five runs of some 20 µs each.
/// Precondition: cpu_supports(isa).
inline double fma_peak(Isa isa, Precision precision = Precision::f32) {
  const kernels::Probe& probe = kernels::kernels_at(isa).probe;
  double best = 0.0;
  for (int run = 0; run < 5; ++run) {
    const double start = thread_seconds();
    const double flop =
        probe.products[precision](8192);  // 12 FMAs at 2 per cycle: 6 cycles a round
    best = std::max(best, flop / (thread_seconds() - start));
  }
  return best;
}

/// Bytes/s of one thread that reads `buffer` again and again.
inline double read_bandwidth(Isa isa, const LargeBuffer& buffer) {
  const kernels::Probe& probe = kernels::kernels_at(isa).probe;
  const double bytes = static_cast<double>(buffer.size()) * sizeof(float);
  const auto passes = static_cast<Index>(std::max(1.0, 64e6 / bytes));
  double best = 0.0;
  for (int run = 0; run < 5; ++run) {
    const double start = thread_seconds();
    volatile float sink = 0.0F;
    for (Index i = 0; i < passes; ++i) sink = sink + probe.read(buffer.data(), buffer.size());
    best = std::max(best, bytes * static_cast<double>(passes) / (thread_seconds() - start));
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
