// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/precision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/log.hpp"
#include "tests/golden/stored.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

MachineRates rates(double f32, double bf16, const char* source = "measured") {
  return {.flops = {f32, bf16, 4 * f32}, .source = source};
}

class PrecisionTest : public testing::Test {
 protected:
  PrecisionChoice choose(PrecisionOption option, const models::Package& package,
                         const MachineRates& rates) {
    return choose_precision(option, package, [&] { return rates; });
  }
  // f16, and f32.
  models::Package half_ = models::open_package(TESSERA_SOURCE_DIR "/models/demo/text"),
                  wide_ = models::open_package(test::kGoldenData / "bert-model");
};

TEST_F(PrecisionTest, AutoWantsMeasuredSpeedAndSixteenBits) {
  constexpr auto kAuto = PrecisionOption::automatic;
  const PrecisionChoice fast = choose(kAuto, half_, rates(1e11, 2e11));
  EXPECT_EQ(fast.precision, Precision::bf16);
  EXPECT_THAT(fast.why, HasSubstr("2.00 x as fast"));
  EXPECT_EQ(choose(kAuto, half_, rates(1e11, kWorthIt * 1e11)).precision, Precision::bf16);
  const PrecisionChoice slow = choose(kAuto, half_, rates(1e11, 1.2e11));
  EXPECT_EQ(slow.precision, Precision::f32);
  EXPECT_THAT(slow.why, HasSubstr("1.20 x as fast as fp32 here, expected 1.25 x"));
  const PrecisionChoice unknown = choose(kAuto, half_, rates(1e11, 2e11, "nominal"));
  EXPECT_EQ(unknown.precision, Precision::f32);
  EXPECT_THAT(unknown.why, HasSubstr("no rates were measured"));
  const PrecisionChoice stored = choose(kAuto, wide_, rates(1e11, 2e11));
  EXPECT_EQ(stored.precision, Precision::f32);
  EXPECT_THAT(stored.why, HasSubstr("is stored in more than 16 bits"));
}

TEST_F(PrecisionTest, WhatIsAskedForIsWhatRuns) {
  const PrecisionChoice int8 = choose(PrecisionOption::int8, wide_, rates(1e11, 2e11));
  EXPECT_EQ(int8.precision, Precision::s8);
  EXPECT_EQ(int8.why, "asked for; int8 multiplies 4.00 x as fast as fp32 here");
  EXPECT_EQ(choose(PrecisionOption::bf16, wide_, rates(2e11, 1e11)).precision, Precision::bf16);
  const auto nobody_asks = []() -> MachineRates { throw std::logic_error("rates"); };
  EXPECT_EQ(choose_precision(PrecisionOption::fp32, half_, nobody_asks).precision, Precision::f32);
}

TEST_F(PrecisionTest, OnlyBf16ThatWasMeasuredSlowerIsWarnedOf) {
  std::vector<std::string> warnings;
  set_log_callback([&](LogLevel level, std::string_view message) {
    if (level == LogLevel::warning) warnings.emplace_back(message);
  });
  warn_if_slower(PrecisionOption::bf16, rates(2e11, 2e11));
  warn_if_slower(PrecisionOption::bf16, rates(2e11, 1e11, "nominal"));
  warn_if_slower(PrecisionOption::fp32, rates(2e11, 1e11));
  warn_if_slower(PrecisionOption::automatic, rates(2e11, 1e11));
  EXPECT_TRUE(warnings.empty());
  warn_if_slower(PrecisionOption::bf16, rates(2e11, 1.9e11));
  set_log_callback({});
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], HasSubstr("bf16 multiplies 0.95 x as fast as fp32 here"));
}

}  // namespace
}  // namespace tessera
