// SPDX-License-Identifier: Apache-2.0
//
// Attention of the bf16 family in every dataflow against the double reference of the same rounded Q, K
// and V, between guard pages.
//
//   |ô − o| ≤ 3·2⁻⁹·max|v| + the bound of f32
//
// P is rounded once and O once; products are exact, scores and sums are f32, exponentials are off by 7.5e-5 of
// themselves, 0.04 of a rounding. Denormal
// products count as zero.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"
#include "tests/reference/attention.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/rows.hpp"

namespace tessera::kernels {
namespace {

using reference::to_bf16;
using reference::widen_bf16;
using test::Guard;
using test::GuardedBuffer;

/// (M,N) of bf16 with NaN between the rows, and the same in f32.
struct HalfRows {
  HalfRows(Index M_, Index N_, Index gap, Guard guard, std::uint64_t seed)
      : M{M_}, N{N_}, ld{N_ + gap}, half((M_ - 1) * (N_ + gap) + N_, guard), wide(M_, N_, 0) {
    test::Random random{seed};
    for (Index i = 0; i < M; ++i) {
      for (Index j = 0; j < N; ++j) {
        half[i * ld + j] = to_bf16(random.normal());
        wide(i, j) = widen_bf16(half[i * ld + j]);
      }
    }
  }
  Index M, N, ld;
  GuardedBuffer<std::uint16_t> half;
  test::Rows wide;
};

struct Case {
  const char* name;
  AttentionMask mask{};
  float scale = 1.0F;  ///< of the scores' standard deviation
  float slope = 0.0F;
  bool boolean = false, biased = false;
  Index q_begin = 0;
};
constexpr Index kAll = AttentionMask::kAll;
const std::vector<Case> kCases{
    {.name = "full"},
    {.name = "full, sharp", .scale = 6.0F},
    {.name = "causal", .mask = {.left = kAll, .right = 0}},
    {.name = "causal window 100", .mask = {.left = 99, .right = 0}},
    {.name = "rows before all keys", .mask = {.left = kAll, .right = 0}, .q_begin = -70},
    {.name = "window of odd width", .mask = {.left = 3, .right = 8}},
    {.name = "log-sparse", .mask = {.kind = MaskKind::log_sparse, .local = 9}},
    {.name = "ALiBi", .slope = 0.125F},
    {.name = "relative bias", .biased = true},
    {.name = "dense boolean", .boolean = true},
};
using Errors = std::array<double, kAttentionDataflows>;

class Summary : public testing::Environment {
 public:
  static std::map<std::string, Errors>& worst() {
    static std::map<std::string, Errors> table;
    return table;
  }
  void TearDown() override {
    for (const auto& [name, errors] : worst()) {
      std::printf("[  ERROR   ] bf16 %-20s", name.c_str());
      for (const double e : errors) std::printf(" %14.1e", e);
      std::printf("\n");
    }
  }
};
const testing::Environment* const kSummary = testing::AddGlobalTestEnvironment(new Summary);

/// A level, or the family of amx_bf16 over emulated tiles.
struct Level {
  Isa isa;
  bool emulated = false;

  friend void PrintTo(const Level& level, std::ostream* os) {
    *os << (level.emulated ? "emulated" : to_string(level.isa));
  }
};
std::vector<Level> levels() {
  std::vector<Level> all{{Isa::amx_bf16, true}};
  for (const Isa isa : kAllIsas) all.push_back({isa});
  return all;
}

class AttentionBf16Test : public testing::TestWithParam<Level> {
 protected:
  void SetUp() override {
    if (GetParam().emulated) {
      family_ = &test::emulated_attention();
      return;
    }
    SKIP_UNLESS_SUPPORTED(GetParam().isa);
    family_ = &kernels_at(GetParam().isa).attention[Precision::bf16];
    if (family_->run == nullptr) GTEST_SKIP() << "attention is f32 at this level";
  }
  /// O (Tq, d) of the case in one dataflow, its gaps seen untouched.
  std::vector<std::uint16_t> run(AttentionTask t, AttentionDataflow dataflow, Guard guard) const {
    t.dataflow = dataflow;
    t.ldn = t.d + 3;
    GuardedBuffer<std::uint16_t> o((t.Tq - 1) * t.ldn + t.d, guard);
    GuardedBuffer<float> scratch(family_->scratch_elements(dataflow, t.Tq, t.Tk, t.d));
    t.narrow = o.data();
    t.scratch = scratch.data();
    {
      const Entered entered(*family_);
      family_->run(t);
    }
    std::vector<std::uint16_t> dense;
    for (Index i = 0; i < t.Tq; ++i) {
      for (Index n = 0; n < t.d; ++n) dense.push_back(o[i * t.ldn + n]);
      for (Index n = t.d; n < t.ldn && i + 1 < t.Tq; ++n) EXPECT_EQ(o[i * t.ldn + n], 0xFFFF);
    }
    return dense;
  }
  const Attention* family_ = nullptr;
};
INSTANTIATE_TEST_SUITE_P(Levels, AttentionBf16Test, testing::ValuesIn(levels()),
                         [](const testing::TestParamInfo<Level>& level) {
                           return testing::PrintToString(level.param);
                         });

double largest(const HalfRows& x) {
  double most = 0;
  for (Index i = 0; i < x.M; ++i) {
    for (Index n = 0; n < x.N; ++n) {
      most = std::max(most, std::abs(static_cast<double>(x.wide(i, n))));
    }
  }
  return most;
}

TEST_P(AttentionBf16Test, IsWithinTheBoundInEveryDataflow) {
  for (const auto& [T, d] : {std::pair<Index, Index>{1, 2},
                             {2, 64},
                             {17, 34},
                             {70, 32},
                             {197, 80},
                             {257, 64},
                             {300, 128},
                             {600, 64}}) {
    const Guard guard = d % 64 == 0 ? Guard::above : Guard::below;
    HalfRows q(T, d, 2, guard, 1), k(T, d, 6, guard, 2), v(T, d, 1, guard, 3);
    GuardedBuffer<float> hidden = test::random_normal(T * T, 4);
    for (float& x : hidden) x = x > 0.43F ? -std::numeric_limits<float>::infinity() : 0.0F;
    for (Index j = 0; j < T; ++j) hidden[T / 2 * T + j] = -std::numeric_limits<float>::infinity();
    const GuardedBuffer<float> bias = test::random_normal(2 * T, 5);
    for (const Case& c : kCases) {
      AttentionTask t{};
      t.Tq = t.Tk = T;
      t.d = d;
      t.scale = c.scale / std::sqrt(static_cast<float>(d));
      t.mask = c.mask;
      t.q_begin = c.q_begin;
      t.slope = c.slope;
      t.bias = c.biased ? bias.data() + T : nullptr;
      t.dense = c.boolean ? hidden.data() : nullptr;
      t.ld_dense = T;
      AttentionTask wide = t;
      wide.q = q.wide.data(), wide.k = k.wide.data(), wide.v = v.wide.data();
      wide.ldq = wide.ldk = wide.ldv = d;
      t.q = q.half.data(), t.k = k.half.data(), t.v = v.half.data();
      t.ldq = q.ld, t.ldk = k.ld, t.ldv = v.ld;
      std::vector<double> value, bound;
      for (Index i = 0; i < T; ++i) reference::attention_row(wide, i, value, bound);
      const double most = largest(v);
      for (Index n = 0; n < kAttentionDataflows; ++n) {
        const auto dataflow = static_cast<AttentionDataflow>(n);
        const std::vector<std::uint16_t> got = run(t, dataflow, guard);
        double& worst = Summary::worst()[c.name][static_cast<std::size_t>(n)];
        for (Index i = 0; i < T; ++i) {
          for (Index m = 0; m < d; ++m) {
            const auto at = static_cast<std::size_t>(i * d + m);
            const double error = std::abs(static_cast<double>(widen_bf16(got[at])) - value[at]);
            ASSERT_LE(error, bound[at] + 3 * 0x1p-9 * most)
                << c.name << ' ' << to_string(dataflow) << " T=" << T << " d=" << d << " row " << i;
            worst = std::max(worst, error);
          }
        }
        if (c.boolean && T > 1) {  // a row that sees no key
          EXPECT_EQ(got[static_cast<std::size_t>(T / 2 * d)], 0) << to_string(dataflow);
        }
        if (c.q_begin < 0) {  // a block of such rows
          EXPECT_EQ(got.front(), 0) << to_string(dataflow);
        }
      }
    }
  }
}

// A query's bits do not depend on the others, nor on which block or tile of keys it is in.
TEST_P(AttentionBf16Test, ARowHasTheBitsThatItHasAlone) {
  const Index T = 130, d = 64;
  HalfRows q(T, d, 0, Guard::above, 1), k(T, d, 0, Guard::above, 2), v(T, d, 0, Guard::above, 3);
  AttentionTask t{};
  t.q = q.half.data(), t.k = k.half.data(), t.v = v.half.data();
  t.ldq = t.ldk = t.ldv = d;
  t.Tq = t.Tk = T, t.d = d, t.scale = 0.125F;
  for (Index n = 0; n < kAttentionDataflows; ++n) {
    const auto dataflow = static_cast<AttentionDataflow>(n);
    const std::vector<std::uint16_t> all = run(t, dataflow, Guard::above);
    for (const Index i : {Index{0}, Index{63}, Index{64}, T - 1}) {
      AttentionTask one = t;
      one.q = q.half.data() + i * d;
      one.Tq = 1;
      const std::vector<std::uint16_t> alone = run(one, dataflow, Guard::above);
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), all.begin() + i * d))
          << to_string(dataflow) << " row " << i;
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
