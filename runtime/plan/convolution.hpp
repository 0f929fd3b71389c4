// SPDX-License-Identifier: Apache-2.0
// The schedule of a convolution along the rows of a sequence: how many rows are gathered at a time.
#pragma once

#include "kernels/types.hpp"

namespace tessera {

/// Rows that one task gathers into its scratch, taps · K floats each: enough that the weights, which pass
/// once per task, cost less than the products.
inline constexpr Index kConvolutionRows = 64;

}  // namespace tessera
