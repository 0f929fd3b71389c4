// SPDX-License-Identifier: Apache-2.0
// The SSE control word that results are defined for: round to nearest, subnormal numbers count as
// zero (many CPUs need a hundred cycles for each, and weights that decayed are full of them), exceptions
// masked. A host may run with another (fesetround, -ffast-math's flush to zero, feenableexcept).
#pragma once

#include <immintrin.h>

namespace tessera {

/// Sets that word on this thread and puts the caller's back, with its sticky flags, at the end of
/// the scope.
class FloatEnvironment {
 public:
  static void set() noexcept { _mm_setcsr(kWord); }

  FloatEnvironment() noexcept : callers_(_mm_getcsr()) { set(); }
  /// What a process starts with: subnormal numbers as such, for what is compared number by number with
  /// others.
  enum class Subnormal { kept };
  explicit FloatEnvironment(Subnormal) noexcept : callers_(_mm_getcsr()) { _mm_setcsr(kStart); }
  ~FloatEnvironment() { _mm_setcsr(callers_); }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  static constexpr unsigned kStart = 0x1F80;
  static constexpr unsigned kWord = kStart | 0x8040;  // FTZ 0x8000, DAZ 0x40
  unsigned callers_;
};

}  // namespace tessera
