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
  ~FloatEnvironment() { _mm_setcsr(callers_); }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  static constexpr unsigned kWord =
      0x9FC0;  // 0x1F80, which a process starts with, FTZ 0x8000, DAZ 0x40
  unsigned callers_;
};

}  // namespace tessera
