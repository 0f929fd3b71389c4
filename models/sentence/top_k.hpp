// SPDX-License-Identifier: Apache-2.0
// Sparse embeddings of their heaviest tokens alone: the others are never held.
#pragma once

#include "models/package.hpp"

namespace tessera::models {

/// Makes every sparse output (S,V) of the package (S,2k): the weights of its k heaviest tokens, the
/// heaviest first, of equal ones the lower id first, then their ids; where fewer weigh anything, 0 of -1.
///
/// Errors    invalid_argument: k not in [1, V]; unsupported_model: no output is sparse
void keep_heaviest(Index k, Package& package);

}  // namespace tessera::models
