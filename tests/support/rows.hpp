// SPDX-License-Identifier: Apache-2.0
//
// A matrix (M,N) with row stride N + gap in guarded memory, as long as its last element and not
// longer. The gaps are NaN with all bits set: a kernel that reads one shows it, one that writes one
// is caught.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "tests/support/guarded_buffer.hpp"
#include "tests/support/random.hpp"

namespace tessera::test {

class Rows {
 public:
  Rows(Index M, Index N, Index gap, Guard guard = Guard::above)
      : M_{M}, N_{N}, ld_{N + gap}, buffer_{M > 0 ? (M - 1) * (N + gap) + N : 0, guard} {}

  /// value(i, j) for every element.
  template <class Value>
  void fill(Value&& value) {
    for (Index i = 0; i < M_; ++i) {
      for (Index j = 0; j < N_; ++j) (*this)(i, j) = value(i, j);
    }
  }
  void fill_normal(std::uint64_t seed, float scale = 1.0F) {
    Random random{seed};
    fill([&](Index, Index) { return scale * random.normal(); });
  }

  float& operator()(Index i, Index j) noexcept { return buffer_[i * ld_ + j]; }
  const float& operator()(Index i, Index j) const noexcept { return buffer_[i * ld_ + j]; }
  float* data() noexcept { return buffer_.data(); }
  const float* data() const noexcept { return buffer_.data(); }
  [[nodiscard]] Index ld() const noexcept { return ld_; }
  [[nodiscard]] Index M() const noexcept { return M_; }
  [[nodiscard]] Index N() const noexcept { return N_; }

  /// The elements without the gaps.
  [[nodiscard]] std::vector<float> dense() const {
    std::vector<float> x;
    x.reserve(static_cast<std::size_t>(M_ * N_));
    for (Index i = 0; i < M_; ++i) {
      for (Index j = 0; j < N_; ++j) x.push_back((*this)(i, j));
    }
    return x;
  }

  [[nodiscard]] bool gaps_untouched() const {
    for (Index i = 0; i + 1 < M_; ++i) {
      for (Index j = N_; j < ld_; ++j) {
        if (std::bit_cast<std::uint32_t>((*this)(i, j)) != 0xFFFFFFFFU) return false;
      }
    }
    return true;
  }

 private:
  Index M_, N_, ld_;
  GuardedBuffer<float> buffer_;  // (M,N), row stride ld
};

}  // namespace tessera::test
