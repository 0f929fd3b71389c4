// SPDX-License-Identifier: Apache-2.0
//
// Embeddings without layers. Over the tokens i of a text, which gets no special tokens:
//
//   StaticEmbedding        mean of the rows embedding.weight[i]; of "embeddings" in a directory that
//                          model2vec wrote                                     (V,D)
//   SparseStaticEmbedding  weight[i] in column i, however often i is there     (V)
//   StaticModel            model2vec without modules.json: as StaticEmbedding, without unknown
//                          tokens, of length 1 where config.json says "normalize"
//
// Where model2vec made its vocabulary smaller, the row of token i is
//
//   embeddings[mapping[i]] · weights[i]       mapping (V) integers, weights (V); each may be missing
//
// and where it made its numbers smaller, embeddings are F16, or I8 without a scale: the mean is one of
// integers. A text without tokens is zeros. A padding that tokenizer.json asks for adds no rows.
// Source: sentence-transformers 5.4, sentence_transformer/modules/static_embedding.py and
// sparse_encoder/modules/sparse_static_embedding.py; MinishLab/model2vec 0.8, model2vec/model.py,
// quantization.py and vocabulary_quantization.py; its #376 on padding
#pragma once

#include <filesystem>
#include <optional>

#include "models/config.hpp"
#include "models/package.hpp"
#include "models/sentence/files.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera::models {

/// config.json of a directory that model2vec reads, where its reading is what counts: without a
/// modules.json, or where the caller names its class.
std::optional<Config> find_model2vec(const std::filesystem::path& directory,
                                     const SentenceFiles& files, const PackageOptions& options);

/// Adds the ops, the output "embedding" (S,D) or (S,V), and what describes them to the package.
///
/// Errors    not_found, corrupt_file: the tensor is not there, or not a table; unsupported_model: a
///           dtype, a key or a tensor that is not computed, an architecture that is not the file's
void add_static_embedding(const SentenceFiles& files, const Config* model2vec,
                          const PackageOptions& options, const Checkpoint& checkpoint,
                          Package& package);

/// Opens the tokenizer of such a package, and says where texts are cut.
void open_static_tokenizer(const SentenceFiles& files, Package& package);

}  // namespace tessera::models
