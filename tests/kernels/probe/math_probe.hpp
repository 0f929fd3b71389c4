// SPDX-License-Identifier: Apache-2.0
//
// The functions of kernels/simd/math.inl.hpp as each level compiles them, for sweeps. n is a multiple
// of 16.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/types.hpp"

namespace tessera::test {

using Sweep = void (*)(const float* x, float* y, Index n) noexcept;

struct MathProbe {
  Sweep exp2, exp, sigmoid, erf, tanh, exp2_for_bf16;
  /// activate_for_bf16()
  void (*for_bf16)(Activation activation, const float* x, float* y, Index n) noexcept;
};

extern const MathProbe kMathProbeBaseline;
extern const MathProbe kMathProbeAvx2;
extern const MathProbe kMathProbeAvx512;

inline const MathProbe& math_probe(Isa isa) noexcept {
  return isa == Isa::baseline ? kMathProbeBaseline
         : isa == Isa::avx2   ? kMathProbeAvx2
                              : kMathProbeAvx512;
}

}  // namespace tessera::test
