// SPDX-License-Identifier: Apache-2.0
// Shorter embeddings: their first columns, of models that were trained so that these say most.
// Source: Kusupati et al. 2022, Matryoshka Representation Learning; truncate_dim of
// sentence-transformers, with normalize_embeddings where the model normalises.
#pragma once

#include "models/package.hpp"

namespace tessera::models {

/// Makes the output "embedding" (S,D) of the package its first `dims` columns, which have length 1 again
/// where the embedding has.
///
/// Errors    invalid_argument: dims not in [1, D], no embedding; unsupported_model: a sparse one, whose
///           columns are tokens
void cut_embedding(Index dims, Package& package);

}  // namespace tessera::models
