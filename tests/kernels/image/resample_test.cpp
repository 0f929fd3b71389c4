// SPDX-License-Identifier: Apache-2.0
//
// Resampling and transposition of bytes at every level, every tail between guard pages.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/kernel_table.hpp"
#include "tests/support/guarded_buffer.hpp"
#include "tests/support/isa.hpp"

namespace tessera::kernels {
namespace {

using test::Guard;
using test::GuardedBuffer;

class Bytes {
 public:
  std::uint32_t next() { return state_ = state_ * 1664525U + 1013904223U, state_ >> 8; }
  GuardedBuffer<std::uint8_t> buffer(Index n, Guard guard) {
    GuardedBuffer<std::uint8_t> bytes(n, guard);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(next());
    return bytes;
  }

 private:
  std::uint32_t state_ = 99;
};

class ResampleTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};
INSTANTIATE_FOR_ALL_ISAS(ResampleTest);

// clip(⌊½ + Σ w·x / 2²²⌋) in 64 bits
std::uint8_t expected(const ResampleTask& task, Index i) {
  std::int64_t sum = std::int64_t{1} << 21;
  for (Index t = 0; t < task.taps; ++t) {
    sum += std::int64_t{task.weights[t]} * task.in[t * task.ldi + i];
  }
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> 22, 0, 255));
}

TEST_P(ResampleTest, SumsRowsOnEveryTail) {
  Bytes random;
  const KernelTable& table = kernels_at(GetParam());
  for (const Guard guard : {Guard::above, Guard::below}) {
    for (Index n = 1; n <= 110; ++n) {
      for (const Index taps : {1, 2, 5, 14}) {
        const Index ldi = n + n % 3;
        const auto in = random.buffer((taps - 1) * ldi + n, guard);
        GuardedBuffer<std::int32_t> weights(taps, guard);
        // up to ±2 in all, so that both ends are clipped
        for (std::int32_t& w : weights) {
          w = static_cast<std::int32_t>(random.next() % (1U << 23U)) - (1 << 22);
          w = static_cast<std::int32_t>(2 * w / taps);
        }
        GuardedBuffer<std::uint8_t> out(n, guard);
        const ResampleTask task{.in = in.data(),
                                .ldi = ldi,
                                .weights = weights.data(),
                                .taps = taps,
                                .out = out.data(),
                                .n = n};
        table.resample_bytes(task);
        for (Index i = 0; i < n; ++i) {
          ASSERT_EQ(int{out[i]}, int{expected(task, i)})
              << "n " << n << " taps " << taps << " " << i;
        }
      }
    }
  }
}

TEST_P(ResampleTest, TransposesEveryShape) {
  Bytes random;
  const KernelTable& table = kernels_at(GetParam());
  for (const Guard guard : {Guard::above, Guard::below}) {
    for (const Index M : {1, 3, 7, 8, 9, 16, 17}) {
      for (const Index N : {1, 2, 15, 16, 17, 31, 48, 50}) {
        const Index ldi = N + 1, ldo = M + 2;
        const auto in = random.buffer((M - 1) * ldi + N, guard);
        GuardedBuffer<std::uint8_t> out((N - 1) * ldo + M, guard);
        table.transpose_bytes(in.data(), ldi, out.data(), ldo, M, N);
        for (Index i = 0; i < M; ++i) {
          for (Index j = 0; j < N; ++j) ASSERT_EQ(int{out[j * ldo + i]}, int{in[i * ldi + j]});
        }
        for (Index j = 0; j + 1 < N; ++j) {
          ASSERT_EQ(out[j * ldo + M], 0xFF) << "written between rows";
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
