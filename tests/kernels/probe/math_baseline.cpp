// SPDX-License-Identifier: Apache-2.0
#include "kernels/simd/sse42.inl.hpp"
//
#include "tests/kernels/probe/math_probe.inl.hpp"

namespace tessera::test {
constinit const MathProbe kMathProbeBaseline = kernels::kMathProbe<xsimd::sse4_2>;
}  // namespace tessera::test
