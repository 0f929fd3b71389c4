// SPDX-License-Identifier: Apache-2.0
//
// The errors that kernels/simd/math.inl.hpp states, measured: every function at every level over its
// whole domain, at a stride through the 2³² bit patterns (all of them with TESSERA_FULL_SWEEP=1).
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "kernels/kernel_table.hpp"
#include "tests/kernels/probe/math_probe.hpp"
#include "tests/reference/activation.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Worst {
  double error = 0;
  float at = 0;
};

/// Runs `function` on bit patterns at a stride and returns the largest error(x, y) for x in [lo,
/// hi].
template <class Function, class Error>
Worst sweep(Function&& function, float lo, float hi, Error&& error) {
  constexpr std::size_t n = 4096;
  const std::uint64_t stride = std::getenv("TESSERA_FULL_SWEEP") != nullptr ? 1 : 8209;  // a prime
  Worst worst;
  float x[n], y[n];
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32U);) {
    for (float& v : x) {
      v = std::bit_cast<float>(static_cast<std::uint32_t>(bits));  // wraps after the last
      bits += stride;
    }
    function(x, y, static_cast<Index>(n));
    for (std::size_t i = 0; i < n; ++i) {
      if (!(x[i] >= lo && x[i] <= hi)) continue;
      const double e = error(x[i], y[i]);
      if (!(e <= worst.error)) worst = {e, x[i]};
    }
  }
  return worst;
}

template <class Reference>
auto ulps_of(Reference&& reference) {
  return [reference](float x, float y) {
    return test::ulp_error(y, reference(static_cast<double>(x)));
  };
}

float one(test::Sweep function, float x) {
  float in[16], out[16];
  for (float& v : in) v = x;
  function(in, out, 16);
  return out[7];
}

class MathTest : public testing::TestWithParam<Isa> {
 protected:
  [[nodiscard]] const test::MathProbe& probe() const { return test::math_probe(GetParam()); }
  void report(const char* name, const Worst& worst) {
    RecordProperty(name, std::to_string(worst.error) + " at " + std::to_string(worst.at));
  }
};
INSTANTIATE_FOR_ALL_ISAS(MathTest);

TEST_P(MathTest, Exp2OfSoftmaxTermsIsWithinItsUlps) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Worst w =
      sweep(probe().exp2, -126.0F, 126.0F, ulps_of([](double x) { return std::exp2(x); }));
  report("ulp", w);
  EXPECT_LE(w.error, GetParam() >= Isa::avx512 ? 2.8 : 2.2) << "at " << w.at;
  const Worst tiny = sweep(probe().exp2, -kInfinity, -126.0F, [](float x, float y) {
    return std::abs(static_cast<double>(y) - std::exp2(static_cast<double>(x)));
  });
  EXPECT_LE(tiny.error, 0x1p-126) << "at " << tiny.at;
}

TEST_P(MathTest, Exp2OfSoftmaxTermsIsExactAtIntegersAndLimits) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  for (int n = -126; n <= 120; ++n) {
    EXPECT_EQ(one(probe().exp2, static_cast<float>(n)), std::ldexp(1.0F, n));
  }
  EXPECT_EQ(one(probe().exp2, -kInfinity), 0.0F);
  EXPECT_EQ(one(probe().exp2, -3.4e38F), 0.0F);
  EXPECT_TRUE(std::isnan(one(probe().exp2, kNan)));
}

TEST_P(MathTest, ExpIsWithinItsUlpsOnTheWholeLine) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Worst w =
      sweep(probe().exp, -kInfinity, kInfinity, ulps_of([](double x) { return std::exp(x); }));
  report("ulp", w);
  EXPECT_LE(w.error, 1.2) << "at " << w.at;
  EXPECT_EQ(one(probe().exp, 0.0F), 1.0F);
  EXPECT_TRUE(std::isnan(one(probe().exp, kNan)));
}

TEST_P(MathTest, SigmoidIsWithinItsUlps) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Worst w = sweep(probe().sigmoid, -87.0F, kInfinity, ulps_of(reference::sigmoid));
  report("ulp", w);
  EXPECT_LE(w.error, 2.3) << "at " << w.at;
  EXPECT_EQ(one(probe().sigmoid, -kInfinity), 0.0F);
  EXPECT_EQ(one(probe().sigmoid, -100.0F), 0.0F);
  EXPECT_TRUE(std::isnan(one(probe().sigmoid, kNan)));
}

TEST_P(MathTest, ErfIsWithinItsUlpsAndSaturates) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Worst w =
      sweep(probe().erf, -kInfinity, kInfinity, ulps_of([](double x) { return std::erf(x); }));
  report("ulp", w);
  EXPECT_LE(w.error, 5.4) << "at " << w.at;
  for (const float x : {3.9251F, 10.0F, 1e30F, kInfinity}) {
    EXPECT_EQ(one(probe().erf, x), 1.0F);
    EXPECT_EQ(one(probe().erf, -x), -1.0F);
  }
  EXPECT_TRUE(std::isnan(one(probe().erf, kNan)));
}

TEST_P(MathTest, Exp2ForBf16IsWithin14Bits) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Worst w = sweep(probe().exp2_for_bf16, -126.0F, 127.0F, [](float x, float y) {
    return std::abs(static_cast<double>(y) / std::exp2(static_cast<double>(x)) - 1.0);
  });
  report("relative error", w);
  EXPECT_LE(w.error, 7.6e-5) << "at " << w.at;
  EXPECT_EQ(one(probe().exp2_for_bf16, -kInfinity), 0.0F);
  EXPECT_TRUE(std::isnan(one(probe().exp2_for_bf16, kNan)));
}

TEST_P(MathTest, ActivationsForBf16AreWithinAFractionOfItsRounding) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  for (const Activation act : {Activation::gelu_erf, Activation::gelu_tanh, Activation::gelu_quick,
                               Activation::tanh, Activation::silu, Activation::sigmoid}) {
    const auto function = [&](const float* x, float* y, Index n) {
      probe().for_bf16(act, x, y, n);
    };
    const Worst w = sweep(function, -1e30F, 1e30F, [&](float x, float y) {
      return std::abs(static_cast<double>(y) - reference::activate(act, static_cast<double>(x))) /
             std::fmax(std::abs(static_cast<double>(x)), 1.0);
    });
    report(to_string(act), w);
    const bool is_gelu = act == Activation::gelu_erf || act == Activation::gelu_tanh;
    EXPECT_LE(w.error, is_gelu ? 5e-6 : 1.2e-4) << to_string(act) << " at " << w.at;
    float in[16], out[16];
    std::fill(std::begin(in), std::end(in), kNan);
    function(in, out, 16);
    EXPECT_TRUE(std::isnan(out[0])) << to_string(act);
  }
}

TEST_P(MathTest, TanhIsWithinItsUlpsAndSaturates) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Worst w =
      sweep(probe().tanh, -kInfinity, kInfinity, ulps_of([](double x) { return std::tanh(x); }));
  report("ulp", w);
  EXPECT_LE(w.error, 5.6) << "at " << w.at;
  for (const float x : {9.001F, 20.0F, 1e30F, kInfinity}) {
    EXPECT_EQ(one(probe().tanh, x), 1.0F);
    EXPECT_EQ(one(probe().tanh, -x), -1.0F);
  }
  EXPECT_TRUE(std::isnan(one(probe().tanh, kNan)));
}

/// gelu and silu: |error| relative to max(|x|, 1), as the formula's own terms are of that size.
TEST_P(MathTest, GeluAndSiluAreWithinTheirErrors) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const ActivationRows run = kernels_at(GetParam()).activation;
  for (const Activation act :
       {Activation::gelu_erf, Activation::gelu_tanh, Activation::gelu_quick, Activation::silu}) {
    const Worst w =
        sweep([&](const float* x, float* y, Index n) { run(act, x, n, y, n, 1, n); }, -1e12F, 1e12F,
              [&](float x, float y) {
                const double X = static_cast<double>(x);
                return std::abs(static_cast<double>(y) - reference::activate(act, X)) /
                       std::max(std::abs(X), 1.0);
              });
    report(to_string(act), w);
    EXPECT_LE(w.error, 2.1e-7) << to_string(act) << " at " << w.at;
  }
}

TEST_P(MathTest, Log1pOfReluIsWithinItsUlps) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const ActivationRows run = kernels_at(GetParam()).activation;
  for (const Activation act : {Activation::log1p_relu, Activation::log1p2_relu}) {
    const auto function = [&](const float* x, float* y, Index n) { run(act, x, n, y, n, 1, n); };
    const Worst w = sweep(function, -1e30F, 3e38F,
                          ulps_of([&](double x) { return reference::activate(act, x); }));
    report(to_string(act), w);
    const auto at = [&](float x) {
      float in[16], out[16];
      std::fill(std::begin(in), std::end(in), x);
      function(in, out, 16);
      return out[5];
    };
    EXPECT_LE(w.error, act == Activation::log1p_relu ? 0.8 : 1.5)
        << to_string(act) << " at " << w.at;
    EXPECT_EQ(at(-3.0F), 0.0F);
    EXPECT_EQ(at(0.0F), 0.0F);
    EXPECT_EQ(at(-kInfinity), 0.0F);
    EXPECT_EQ(at(kInfinity), kInfinity);
    EXPECT_TRUE(std::isnan(at(kNan)));
  }
}

}  // namespace
}  // namespace tessera::kernels
