// SPDX-License-Identifier: Apache-2.0
#include "kernels/simd/avx2.inl.hpp"
//
#include "tests/kernels/probe/math_probe.inl.hpp"

namespace tessera::test {
constinit const MathProbe kMathProbeAvx2 = kernels::kMathProbe<xsimd::fma3<xsimd::avx2>>;
}  // namespace tessera::test
