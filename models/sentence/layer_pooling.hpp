// SPDX-License-Identifier: Apache-2.0
//
// WeightedLayerPooling: token embeddings out of the hidden states of several layers, each with a
// weight that was trained, before a Pooling makes one row of them.
//
//   x_t = Σ_l w_l h_{l,t} / Σ_l w_l     l = layer_start … N; h_0 are the embeddings, h_N the last layer
//
// The weights are the tensor "layer_weights" (N + 1 − layer_start) of the module's directory, read when
// the Program is built: its sums are scaled by numbers, not by parameters. The reference has hidden
// states only where the Transformer's config says output_hidden_states, and otherwise leaves the
// token embeddings as they are.
//
// As in UKPLab/sentence-transformers, modules/weighted_layer_pooling.py.
#pragma once

#include <filesystem>

#include "models/package.hpp"
#include "models/sentence/files.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera::models {

/// files.output_hidden_states, where a module asks and the files of sentence-transformers do not say:
/// that of config.json.
void read_hidden_states(const Config& config, SentenceFiles& files);

/// The token embeddings (ΣT,H) behind the module, of `tokens` before it; adds to the description.
///
/// Errors    as Config's and WeightMap's; corrupt_file: layers that the model has not, weights that are
///           not finite or sum to 0
ValueId pool_layers(const std::filesystem::path& directory, const SentenceModule& module,
                    const SentenceFiles& files, const Checkpoint& checkpoint, ValueId tokens,
                    Package& package);

}  // namespace tessera::models
