// SPDX-License-Identifier: Apache-2.0
//
// The contract of the probes, from whose rates the planner works.
#pragma once

#include "kernels/types.hpp"

namespace tessera::kernels {

/// Loops that run one resource of a core at its limit, to be timed by the caller.
struct Probe {
  /// Per precision: `rounds` × a few independent multiply-adds of its GEMM on full vectors, in
  /// registers. Returns the FLOP done.
  PerPrecision<double (*)(Index rounds) noexcept> products{};
  /// Reads n floats in order (whole groups of 8 vectors; the rest is left out). Returns their sum.
  float (*read)(const float* p, Index n) noexcept = nullptr;
  /// `rounds` × 4 vectors of 2ˣ as attention evaluates it. Returns the number of values.
  double (*exp2)(Index rounds) noexcept = nullptr;
};

}  // namespace tessera::kernels
