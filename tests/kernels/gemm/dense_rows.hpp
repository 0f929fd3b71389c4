// SPDX-License-Identifier: Apache-2.0
// What a micro-kernel wrote of C, and that it wrote nothing else.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "kernels/types.hpp"
#include "tests/support/guarded_buffer.hpp"

namespace tessera::kernels {

/// C (M,N) of rows ldc apart; between them all bits are still set.
inline std::vector<float> dense_rows(const test::GuardedBuffer<float>& c, Index M, Index N,
                                     Index ldc) {
  std::vector<float> dense;
  for (Index i = 0; i < M; ++i) {
    for (Index j = 0; j < N; ++j) dense.push_back(c[i * ldc + j]);
    for (Index j = N; j < ldc && i + 1 < M; ++j) {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(c[i * ldc + j]), 0xFFFFFFFFU) << "a gap";
    }
  }
  return dense;
}

}  // namespace tessera::kernels
