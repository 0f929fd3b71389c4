// SPDX-License-Identifier: Apache-2.0
//
// How far attention is from the double reference: max |o − ô| per level, mask and dataflow, printed
// at the end of the program. Q, K, V are normal; "sharp" scores have a standard deviation of 6.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/reference/attention.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/rows.hpp"

namespace tessera::kernels {
namespace {

using Errors = std::array<double, kAttentionDataflows>;

/// max |error| of (level, mask), one per dataflow.
class Summary : public testing::Environment {
 public:
  static std::map<std::pair<Isa, std::string>, Errors>& worst() {
    static std::map<std::pair<Isa, std::string>, Errors> table;
    return table;
  }
  void TearDown() override {
    if (worst().empty()) return;
    std::printf("[  ERROR   ] %-9s %-18s", "attention", "max |error|");
    for (Index n = 0; n < kAttentionDataflows; ++n)
      std::printf(" %14s", to_string(static_cast<AttentionDataflow>(n)));
    std::printf("\n");
    for (const auto& [key, errors] : worst()) {
      std::printf("[  ERROR   ] %-9s %-18s", to_string(key.first), key.second.c_str());
      for (const double e : errors) std::printf(" %14.1e", e);
      std::printf("\n");
    }
  }
};
const testing::Environment* const kSummary = testing::AddGlobalTestEnvironment(new Summary);

struct Case {
  const char* name;
  AttentionMask mask{};
  float scale = 1.0F;  ///< of the scores' standard deviation
  float slope = 0.0F;
  bool boolean = false;
};
constexpr Index kAll = AttentionMask::kAll;
const std::vector<Case> kCases{
    {.name = "full"},
    {.name = "full, sharp", .scale = 6.0F},
    {.name = "causal", .mask = {.left = kAll, .right = 0}},
    {.name = "window 129", .mask = {.left = 64, .right = 64}},
    {.name = "causal window 100", .mask = {.left = 99, .right = 0}},
    {.name = "log-sparse", .mask = {.kind = MaskKind::log_sparse, .local = 9}},
    {.name = "log-sparse causal",
     .mask = {.kind = MaskKind::log_sparse_causal, .local = 8, .restart = 64}},
    {.name = "ALiBi", .slope = 0.125F},
    {.name = "dense boolean", .boolean = true},
};

class AttentionAccuracyTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_FOR_ALL_ISAS(AttentionAccuracyTest);

TEST_P(AttentionAccuracyTest, IsWithinTheBoundAndPrinted) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Attention& attention = kernels_at(GetParam()).attention[Precision::f32];
  for (const Case& c : kCases) {
    Errors& worst = Summary::worst()[{GetParam(), c.name}];
    for (const auto& [T, d] : {std::pair<Index, Index>{70, 32}, {197, 80}, {600, 64}, {300, 128}}) {
      test::Rows q{T, d, 3}, k{T, d, 5}, v{T, d, 7}, o{T, d, 2};
      q.fill_normal(1);
      k.fill_normal(2);
      v.fill_normal(3);
      test::GuardedBuffer<float> hidden = test::random_normal(T * T, 4);
      for (float& x : hidden)  // a third
        x = x > 0.43F ? -std::numeric_limits<float>::infinity() : 0.0F;
      AttentionTask t{};
      t.q = q.data();
      t.k = k.data();
      t.v = v.data();
      t.o = o.data();
      t.ldq = q.ld();
      t.ldk = k.ld();
      t.ldv = v.ld();
      t.ldo = o.ld();
      t.Tq = t.Tk = T;
      t.d = d;
      t.scale = c.scale / std::sqrt(static_cast<float>(d));
      t.mask = c.mask;
      t.slope = c.slope;
      t.dense = c.boolean ? hidden.data() : nullptr;
      t.ld_dense = T;
      std::vector<double> value, bound;
      for (Index i = 0; i < T; ++i) reference::attention_row(t, i, value, bound);
      for (std::size_t n = 0; n < worst.size(); ++n) {
        t.dataflow = static_cast<AttentionDataflow>(n);
        test::GuardedBuffer<float> scratch(attention.scratch_elements(t.dataflow, T, T, d));
        t.scratch = scratch.data();
        attention.run(t);
        const std::vector<float> got = o.dense();
        for (std::size_t i = 0; i < got.size(); ++i) {
          const double error = std::abs(static_cast<double>(got[i]) - value[i]);
          ASSERT_LE(error, bound[i]) << c.name << ' ' << to_string(t.dataflow) << " T=" << T;
          worst[n] = std::max(worst[n], error);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
