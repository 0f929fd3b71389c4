// SPDX-License-Identifier: Apache-2.0
//
// Reproducible inputs: SplitMix64 (Steele, Lea, Flood 2014) and Box-Muller, written out because the
// distributions of the standard library differ between implementations. The same seed gives the
// same bits everywhere.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "tests/support/guarded_buffer.hpp"

namespace tessera::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_{seed} {}

  std::uint64_t bits() noexcept {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }

  /// In [0, 1): 53 bits.
  double uniform() noexcept { return static_cast<double>(bits() >> 11U) * 0x1p-53; }
  float uniform(float lo, float hi) noexcept {
    return lo + static_cast<float>(uniform()) * (hi - lo);
  }

  /// In [lo, hi], both included.
  Index integer(Index lo, Index hi) noexcept {
    return lo + static_cast<Index>(bits() % static_cast<std::uint64_t>(hi - lo + 1));
  }

  float normal() noexcept {
    const double r = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return static_cast<float>(r * std::cos(2.0 * std::numbers::pi * uniform()));
  }

 private:
  std::uint64_t state_;
};

/// n samples of N(0, scale²).
inline GuardedBuffer<float> random_normal(Index n, std::uint64_t seed, Guard guard = Guard::above,
                                          float scale = 1.0F) {
  Random random{seed};
  GuardedBuffer<float> x(n, guard);
  for (float& value : x) value = scale * random.normal();
  return x;
}

inline GuardedBuffer<float> random_uniform(Index n, float lo, float hi, std::uint64_t seed,
                                           Guard guard = Guard::above) {
  Random random{seed};
  GuardedBuffer<float> x(n, guard);
  for (float& value : x) value = random.uniform(lo, hi);
  return x;
}

}  // namespace tessera::test
