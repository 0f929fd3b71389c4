// SPDX-License-Identifier: Apache-2.0
//
// The sentence embedding: what the modules of sentence-transformers do with the last hidden state.
//
//   WeightedLayerPooling  token rows of several layers become one (layer_pooling.hpp)
//   Pooling    one row per sequence out of the token rows; several modes are concatenated
//   Dense      act(W x + b), + residual where the config says so
//   Normalize  x / max(‖x‖₂, 1e-12)
//   LayerNorm  eps 1e-5
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "models/package.hpp"
#include "models/sentence/files.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera::models {

/// What the reference does with a directory that has no modules.json: mean pooling, nothing else.
SentenceFiles plain_transformer_modules(SentenceFiles files);

/// Adds the weights of WeightedLayerPooling, Dense and LayerNorm modules to `checkpoint`, as "2_Dense/linear.weight".
void merge_module_weights(const std::filesystem::path& directory, const SentenceFiles& files,
                          Checkpoint& checkpoint);

/// Adds the ops and the output "embedding" (S,D), and the description, to the package. Nothing is
/// added if no module pools.
void add_embedding(const std::filesystem::path& directory, const SentenceFiles& files,
                   const Checkpoint& checkpoint, ValueId last_hidden_state, Package& package);

/// Late interaction: adds the output "token_embeddings" (ΣT,D), and the description.
/// Precondition: files.multi_vector.
void add_token_vectors(const std::filesystem::path& directory, SentenceFiles& files,
                       const Checkpoint& checkpoint, ValueId last_hidden_state, Package& package);

}  // namespace tessera::models
