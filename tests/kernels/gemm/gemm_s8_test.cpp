// SPDX-License-Identifier: Apache-2.0
// The packing of 8-bit numbers at every level, and the probe of tiles.
#include <cmath>
#include <limits>

#include "tests/kernels/gemm/integer_gemm.hpp"
#include "tests/reference/bf16.hpp"

namespace tessera::kernels {
namespace {

class GemmS8Test : public IntegerGemmTest, public testing::WithParamInterface<Isa> {
 protected:
  void SetUp() override { enter(GetParam(), Precision::s8); }
};
INSTANTIATE_FOR_ALL_ISAS(GemmS8Test);

/// A weight is quantised as a row of activations is; its numbers are seen by multiplying with ones.
TEST_P(GemmS8Test, PacksTheNumbersOfTheReferenceFromEveryType) {
  const Index NR = gemm().NR;
  for (const Index K : {1, 3, 4, 31, 64, 65, 130}) {
    for (const Index nr : {Index{1}, NR - 1, NR}) {
      const Index ldw = K + 3;
      GuardedBuffer<float> w = test::random_normal((nr - 1) * ldw + K, 21, Guard::above);
      if (nr > 2) {
        for (Index k = 0; k < K; ++k) w[ldw + k] = 0.0F;
        w[2 * ldw + K / 2] = std::numeric_limits<float>::quiet_NaN();
      }
      GuardedBuffer<std::uint16_t> half(w.size(), Guard::above);
      for (Index i = 0; i < w.size(); ++i) half[i] = reference::to_bf16(w[i]);
      for (const DType type : {DType::f32, DType::bf16}) {
        GuardedBuffer<std::byte> panel(gemm().panel_bytes(K), Guard::above);
        gemm().pack_panel({.w = type == DType::f32 ? static_cast<const void*>(w.data())
                                                   : static_cast<const void*>(half.data()),
                           .type = type,
                           .ldw = ldw,
                           .nr = nr,
                           .K = K,
                           .panel = panel.data()});
        const auto* scales = reinterpret_cast<const float*>(panel.data());
        for (Index k = 0; k < K; ++k) {  // unit vectors pick row k
          std::vector<std::int32_t> unit(static_cast<std::size_t>(K));
          unit[static_cast<std::size_t>(k)] = 1;
          const Index lda = round_to(with_zeros(K), gemm().KR);
          GuardedBuffer<std::byte> a(gemm().rows_read * lda * gemm().bits.a / 8);
          store_numbers(table(), unit.data(), K, a.data());
          GuardedBuffer<float> c(NR);
          gemm().run({.a = a.data(),
                      .lda = lda,
                      .b = panel.data() + gemm().panel_offset(0),
                      .c = c.data(),
                      .ldc = NR,
                      .mr = 1,
                      .nr = NR,
                      .kc = K,
                      .heads = panel.data()});
          for (Index j = 0; j < NR; ++j) {
            reference::QuantizedRow expected;
            if (j < nr) {
              std::vector<float> row;
              for (Index i = 0; i < K; ++i) {
                row.push_back(type == DType::f32 ? w[j * ldw + i]
                                                 : reference::widen_bf16(half[j * ldw + i]));
              }
              expected = reference::quantize(row);
            } else {
              expected.q.resize(static_cast<std::size_t>(K));
            }
            ASSERT_EQ(std::bit_cast<std::int32_t>(c[j]), expected.q[static_cast<std::size_t>(k)])
                << "K=" << K << " k=" << k << " j=" << j;
            if (std::isnan(expected.scale)) {
              ASSERT_TRUE(std::isnan(scales[j]));
            } else {
              ASSERT_EQ(scales[j], expected.scale);
            }
          }
        }
      }
    }
  }
}

/// What the instruction reads as a tile lies in one piece: 16 columns of a group of 64 k, fours of k
/// side by side; and sums begin at nothing.
TEST_P(GemmS8Test, PanelsOfAUnitAreTiles) {
  if (gemm().rows_read == 1) GTEST_SKIP() << "no unit";
  const Index NR = gemm().NR, KR = gemm().KR;
  ASSERT_EQ(std::pair(NR, KR), std::pair(Index{32}, Index{64}));
  for (const Index K : {1, 63, 64, 65, 130}) {
    for (const Index nr : {Index{1}, Index{16}, Index{17}, NR}) {
      std::mt19937_64 random{static_cast<std::uint64_t>(K)};
      GuardedBuffer<std::int8_t> w(nr * K), panel(gemm().panel_bytes(K));
      for (std::int8_t& q : w) q = static_cast<std::int8_t>(random());
      const std::vector<float> scales(static_cast<std::size_t>(nr), 0.5F);
      gemm().pack_panel({.w = w.data(),
                         .type = DType::s8,
                         .ldw = K,
                         .nr = nr,
                         .K = K,
                         .panel = panel.data(),
                         .scales = scales.data()});
      for (Index i = 4 * NR; i < 8 * NR; ++i) ASSERT_EQ(panel[i], 0) << "first sums";
      for (Index k = 0; k < round_to(K, KR); ++k) {
        for (Index j = 0; j < NR; ++j) {
          const Index tile = k / 64 * 2 + j / 16, row = k % 64 / 4, column = j % 16;
          ASSERT_EQ(panel[gemm().panel_offset(0) + tile * 1024 + row * 64 + column * 4 + k % 4],
                    j < nr && k < K ? w[j * K + k] : 0)
              << "K=" << K << " nr=" << nr << " k=" << k << " j=" << j;
        }
      }
    }
  }
}

/// Four products of tiles a round, each 16 x 16 x 64 bytes.
TEST(TilesProbeTest, CountsItsProductsAndGivesTheUnitBack) {
  const Probe& probe = test::usable_level(Isa::amx_bf16)->probe;
  test::tile_use() = {};
  EXPECT_EQ(probe.products[Precision::bf16](3), 3 * 4 * 2.0 * 16 * 16 * 32);
  EXPECT_EQ(probe.products[Precision::s8](3), 3 * 4 * 2.0 * 16 * 16 * 64);
  EXPECT_EQ(test::tile_use().used_without, 0);
  EXPECT_EQ(test::tile_use().left, test::tile_use().entered);
}

}  // namespace
}  // namespace tessera::kernels
