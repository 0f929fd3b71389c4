// SPDX-License-Identifier: Apache-2.0
// The schedule of a patch embedding: how many rows of patches are gathered at a time.
#pragma once

#include "runtime/program/program.hpp"

namespace tessera {

/// Rows of patches that one task gathers into its scratch: half of L2 (the panels of the weight
/// pass beside them), whole tiles of MR rows, at most 32 tiles.
Index patch_block_rows(const ImageSpec& images, Precision precision, Index MR,
                       Index l2_bytes) noexcept;

}  // namespace tessera
