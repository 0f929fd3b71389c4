// SPDX-License-Identifier: Apache-2.0
// How the replay's kernels touch memory: runs of floats as lines, in order. For runtime/meters.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/meters/cache_simulator.hpp"

namespace tessera::meters {

/// body(j, n) for pieces of at most as many of N floats as a line has.
template <class Body>
void by_lines(Index N, Body&& body) {
  constexpr Index kFloats = kLineBytes / 4;
  for (Index j = 0; j < N; j += kFloats) body(j, std::min(kFloats, N - j));
}

/// Accesses of one kernel call. Neighbouring accesses to one line count as one.
class Touch {
 public:
  explicit Touch(CacheSimulator& to) noexcept : to_(to) {}

  template <class T>
  static std::uint64_t line_of(const T* p) noexcept {
    return reinterpret_cast<std::uintptr_t>(p) / static_cast<std::uintptr_t>(kLineBytes);
  }
  /// n ≥ 0 elements from p on.
  template <class T>
  void read(const T* p, Index n) noexcept {
    if (n <= 0) return;
    for (std::uint64_t line = line_of(p), last = line_of(p + n - 1); line <= last; ++line)
      to_.read(line);
  }
  template <class T>
  void write(T* p, Index n) noexcept {
    if (n <= 0) return;
    for (std::uint64_t line = line_of(p), last = line_of(p + n - 1); line <= last; ++line)
      to_.write(line);
  }
  /// Rows [0, m) of n elements, row stride ld.
  template <class T>
  void read_rows(const T* p, Index ld, Index m, Index n) noexcept {
    for (Index i = 0; i < m; ++i) read(p + i * ld, n);
  }
  template <class T>
  void write_rows(T* p, Index ld, Index m, Index n) noexcept {
    for (Index i = 0; i < m; ++i) write(p + i * ld, n);
  }

  /// The loop over k of a register tile: for k = 0 … K−1, `each(k)`, then element k of m rows of
  /// `a`. While the rows stay in their lines, they are touched after the first k and after the last
  /// instead of every time: the same misses and the same order of use, unless so many of the rows
  /// share a set that they evict each other (`apart` says that they do not).
  template <class Each>
  void broadcast_rows(const float* a, Index lda, Index m, Index K, Each&& each) noexcept {
    constexpr Index kFloats = kLineBytes / 4;
    const bool apart = m == 1 || (lda % kFloats == 0 && lda / kFloats % 2 != 0);
    for (Index k = 0; k < K;) {
      const auto in_line = static_cast<Index>(reinterpret_cast<std::uintptr_t>(a + k) /
                                              sizeof(float) % static_cast<std::size_t>(kFloats));
      const Index end = apart ? std::min(K, k + kFloats - in_line) : k + 1;
      each(k);
      for (Index i = 0; i < m; ++i) to_.read(line_of(a + i * lda + k));
      if (end - k > 1) {
        for (++k; k < end; ++k) each(k);
        for (Index i = 0; i < m; ++i) to_.read(line_of(a + i * lda + k - 1));
      }
      k = end;
    }
  }

 private:
  CacheSimulator& to_;
};

}  // namespace tessera::meters
