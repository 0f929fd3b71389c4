// SPDX-License-Identifier: Apache-2.0
#include "kernels/simd/avx512.inl.hpp"
//
#include "tests/kernels/probe/math_probe.inl.hpp"

namespace tessera::test {
constinit const MathProbe kMathProbeAvx512 = kernels::kMathProbe<xsimd::avx512bw>;
}  // namespace tessera::test
