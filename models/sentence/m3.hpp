// SPDX-License-Identifier: Apache-2.0
//
// BGE-M3: what stands beside the embedding of the class token, from two files of PyTorch.
//
//   sparse_linear.pt    token_weights    relu(w · x + b), a number per token
//                       lexical_weights  per text and token id the largest of them: (S, vocabulary)
//   colbert_linear.pt   colbert_vecs     (W x + b) / max(‖W x + b‖₂, 1e-12), a row per token. The
//                                        reference leaves out the first, of the class token, and so
//                                        does what is written of them (tessera embed)
//
// Source: Chen et al. 2024, BGE M3-Embedding; FlagOpen/FlagEmbedding, .../encoder_only/m3/modeling.py.
#pragma once

#include <filesystem>

#include "models/package.hpp"
#include "models/sentence/files.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera::models {

inline constexpr const char* kM3Vectors = "colbert_vecs";

bool directory_has_m3_heads(const std::filesystem::path& directory);

/// The embedding where no modules.json says another: that of the class token, of length 1.
SentenceFiles m3_modules(SentenceFiles files);

/// Adds the outputs of the files that are there. Precondition: Task::features. Throws unsupported_model for a model of another family.
void add_m3_outputs(const std::filesystem::path& directory, ValueId last_hidden_state,
                    Checkpoint& checkpoint, Package& package);

}  // namespace tessera::models
