// SPDX-License-Identifier: Apache-2.0
// Levels as sets of features, and what each inherits. Nothing here runs a kernel.
#include <gtest/gtest.h>

#include "kernels/kernel_table.hpp"

namespace tessera {
namespace {

using kernels::kernels_at;
using kernels::KernelTable;

TEST(LevelsTest, ALevelContainsAnotherIfItNeedsAllThatTheOtherNeeds) {
  const auto level = [](Features needs) { return Level{Isa::baseline, "x", needs, nullptr}; };
  EXPECT_TRUE(contains(level(kSse42 | kAvx2), level(kSse42)));
  EXPECT_TRUE(contains(level(kSse42), level(kSse42)));
  EXPECT_FALSE(contains(level(kSse42), level(kSse42 | kAvx2)));
  // No chain: neither contains the other, and a third contains both.
  const Level a = level(kSse42 | kAvx512F), b = level(kSse42 | kBmi2);
  EXPECT_FALSE(contains(a, b) || contains(b, a));
  EXPECT_TRUE(contains(level(kSse42 | kAvx512F | kBmi2), a));
  EXPECT_TRUE(contains(level(kSse42 | kAvx512F | kBmi2), b));
}

TEST(LevelsTest, NamesAndOrderAreThoseOfTheEnumeration) {
  ASSERT_EQ(levels().size(), kAllIsas.size());
  for (const Isa isa : kAllIsas) {
    EXPECT_EQ(level_of(isa).isa, isa);
    EXPECT_EQ(isa_from_string(to_string(isa)), isa);
    const Features needs = level_of(isa).needs;
    EXPECT_EQ(cpu_supports(isa), (cpu_features() & needs) == needs);
  }
  EXPECT_FALSE(isa_from_string("avx"));
  EXPECT_TRUE(cpu_supports(best_isa()));
}

TEST(LevelsTest, ATableLacksNothing) {
  for (const Isa isa : kAllIsas) {
    const KernelTable& t = kernels_at(isa);
    EXPECT_EQ(t.isa, isa);
    EXPECT_TRUE(t.attention[Precision::f32].run != nullptr);
    for (const Precision p : kPrecisions) {
      EXPECT_TRUE(t.gemm[p].run != nullptr && t.gemm[p].pack_panel != nullptr);
    }
    for (const Precision p : kModelPrecisions) EXPECT_TRUE(t.probe.products[p] != nullptr);
    EXPECT_TRUE(t.narrow != nullptr && t.probe.read != nullptr && t.probe.exp2 != nullptr);
    EXPECT_TRUE(t.layer_norm != nullptr && t.activation != nullptr && t.gated != nullptr);
    EXPECT_TRUE(t.l2_normalize != nullptr && t.add != nullptr && t.embedding != nullptr);
    EXPECT_TRUE(t.weighted_mean != nullptr && t.max_rows != nullptr && t.widen != nullptr);
    EXPECT_TRUE(t.resample_bytes != nullptr && t.transpose_bytes != nullptr);
  }
}

TEST(LevelsTest, ALevelTakesNothingFromOneThatItDoesNotContain) {
  for (const Isa isa : kAllIsas) {
    for (const Isa other : kAllIsas) {
      if (contains(level_of(isa), level_of(other))) continue;
      for (const Precision p : kPrecisions) {
        EXPECT_NE(kernels_at(isa).gemm[p].run, level_of(other).table->gemm[p].run)
            << to_string(isa) << " of " << to_string(other);
      }
      EXPECT_NE(kernels_at(isa).widen, level_of(other).table->widen);
    }
  }
}

TEST(LevelsTest, WhatALevelHasItselfItRuns) {
  for (const Isa isa : kAllIsas) {
    const KernelTable& own = *level_of(isa).table;
    const auto runs_own = [&](auto ran, auto its) {
      if (its == nullptr) return;
      EXPECT_EQ(ran, its) << to_string(isa);
    };
    const KernelTable& t = kernels_at(isa);
    for (const Precision p : kPrecisions) {
      runs_own(t.gemm[p].run, own.gemm[p].run);
      runs_own(t.attention[p].run, own.attention[p].run);
    }
    runs_own(t.layer_norm, own.layer_norm);
  }
}

}  // namespace
}  // namespace tessera
