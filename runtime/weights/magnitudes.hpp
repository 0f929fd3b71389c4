// SPDX-License-Identifier: Apache-2.0
// Whether numbers are small enough, from their bits: without their sign, floats are ordered as the
// integers of the same bits are, and infinity and NaN come after every number.
#pragma once

#include <cstddef>

#include "kernels/types.hpp"

namespace tessera {

/// True if each of the `n` numbers at `values` is finite, and below `limit` in magnitude if it is stored
/// as F32. One pass that a compiler turns into vector instructions, at every level.
///
/// Shapes    values (n) of `type`, aligned to its size
[[nodiscard]] bool all_below(const std::byte* values, DType type, Index n, float limit);

}  // namespace tessera
