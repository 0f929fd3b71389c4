// SPDX-License-Identifier: Apache-2.0
// What a saved index is of. Vectors say nothing about where they come from, so a second file beside
// them does, and what does not fit is refused:
//
//   films.npy        the vectors, float32, bit for bit as `tessera embed` writes them
//   films.npy.json   {"tessera_index": 1, "model": ..., "prompt": ..., "similarity": ..., "cutting":
//                    ..., "lines": ..., "vectors": ...}
#pragma once

#include <span>
#include <string>

#include "models/package.hpp"
#include "tessera/pipeline/search_index.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera {

/// Everything that decides the vectors of an index; hashes where the thing itself is large.
struct IndexIdentity {
  std::string model;       ///< class, what the embedding is, and a hash of weights and files
  std::string prompt;      ///< that was put before every text
  std::string similarity;  ///< "cosine"
  std::string cutting;     ///< TextInputs::cutting()
  std::string lines;       ///< how many, and a hash of the texts in order
  std::string vectors;     ///< a hash of the rows
};

/// Reads all weights of `package` once.
IndexIdentity identity_of(const models::Package& package, const TextInputs& texts,
                          models::SimilarityMeasure measure, std::span<const Entry> entries,
                          std::span<const float> rows);

std::string identity_file(const std::string& index);
std::string to_json(const IndexIdentity& identity);
/// Errors    not_found, io_error, corrupt_file
IndexIdentity load_identity(const std::string& index);

/// Throws Error{invalid_argument} naming the first thing in which the saved index differs from what
/// is searched now.
void require_same(const std::string& index, const IndexIdentity& saved, const IndexIdentity& now);

}  // namespace tessera
