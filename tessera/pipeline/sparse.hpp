// SPDX-License-Identifier: Apache-2.0
// What a sparse embedding (Package::embedding_is_sparse) has beside zeros.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "kernels/types.hpp"
#include "models/text/tokenizer.hpp"

namespace tessera {

/// Column `id` of a row: the weight of that token.
struct SparseElement {
  Index id = 0;
  float weight = 0.0F;

  friend bool operator==(const SparseElement&, const SparseElement&) = default;
};

/// The elements of `row` that are not 0, at most `most`: those of the largest weights, the heaviest first,
/// of equal weights the lower id first. NaN counts as heavier than any number.
void heaviest(std::span<const float> row, std::size_t most, std::vector<SparseElement>& elements);

/// What is written of a sparse row.
struct SparseText {
  std::size_t most = std::numeric_limits<std::size_t>::max();  ///< elements, the heaviest
  const text::Tokenizer* tokenizer = nullptr;                  ///< null: no "token"
};

/// Appends [{"token": …, "id": …, "weight": …}, …], the heaviest first.
void append_sparse(std::string& out, std::span<const float> row, const SparseText& sparse);

}  // namespace tessera
