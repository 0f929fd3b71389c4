// SPDX-License-Identifier: Apache-2.0
// Sparse embeddings of their heaviest tokens alone. The op that writes all V columns keeps the heaviest
// itself where nobody else reads the others; behind a Normalize, or where the output has a second name,
// (S,V) is held and a TopColumnsOp follows.
#pragma once

#include "models/package.hpp"

namespace tessera::models {

/// Makes every sparse output (S,V) of the package (S,2k): the weights of its k heaviest tokens, the
/// heaviest first, of equal ones the lower id first, then their ids; where fewer weigh anything, 0 of -1.
///
/// Errors    invalid_argument: k not in [1, V]; unsupported_model: no output is sparse
void keep_heaviest(Index k, Package& package);

}  // namespace tessera::models
