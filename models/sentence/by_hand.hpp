// SPDX-License-Identifier: Apache-2.0
// What the caller says of the embedding: which pooling, where the directory says none, and length 1.
#pragma once

#include "models/package.hpp"
#include "models/sentence/files.hpp"

namespace tessera::models {

/// Does nothing in the directory say what pools? `has_embedding`: the architecture has an embedding
/// without a pooling (CLIP, BEiT), or the heads of BGE-M3 imply one.
bool is_silent(const SentenceFiles& files, bool has_embedding);

/// Puts this pooling behind what there is of layers, in place of the default. Precondition:
/// is_silent().
void set_pooling(Pooling pooling, SentenceFiles& files);

/// Throws invalid_argument: the package has its embedding, or vectors of tokens, from elsewhere.
[[noreturn]] void refuse_pooling(Pooling pooling, const SentenceFiles& files,
                                 const Package& package);

/// Makes the output "embedding" of length 1, which it may be already.
///
/// Errors    invalid_argument: no embedding; unsupported_model: a sparse one
void normalize_embedding(Package& package);

}  // namespace tessera::models
