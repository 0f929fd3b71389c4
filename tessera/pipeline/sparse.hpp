// SPDX-License-Identifier: Apache-2.0
// What a sparse embedding (Package::embedding_is_sparse) has beside zeros.
#pragma once

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

/// The elements of `row` that are not 0, the heaviest first, of equal weights the lower id first. NaN
/// counts as heavier than any number.
void heaviest(std::span<const float> row, std::vector<SparseElement>& elements);

/// The same of an output's row: of a whole one where `vocabulary` is 0, else of one that has the heaviest
/// alone (Package::top_k), of so many columns.
void elements_of(std::span<const float> row, Index vocabulary,
                 std::vector<SparseElement>& elements);

/// What is written of a sparse row.
struct SparseText {
  const text::Tokenizer* tokenizer = nullptr;  ///< null: no "token"
  /// Columns, where rows have the heaviest alone (Package::top_k); 0: rows are whole.
  Index vocabulary = 0;
};

/// Appends [{"token": …, "id": …, "weight": …}, …], the heaviest first.
void append_sparse(std::string& out, std::span<const float> row, const SparseText& sparse);

}  // namespace tessera
