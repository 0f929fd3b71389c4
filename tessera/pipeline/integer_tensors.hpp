// SPDX-License-Identifier: Apache-2.0
// Which tensors of a checkpoint can be stored as whole numbers: linears, so that Precision::s8 computes the
// same bits, and tables of words.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "models/package.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tessera/pipeline/tensor_factors.hpp"

namespace tessera {

struct IntegerTensors {
  std::set<std::string> whole;  ///< X.weight (N,K), of linears and words
  std::set<std::string> words;  ///< of these: tables that a row of is taken by a token's id
  /// Modules X whose weight stays floats, tables left out: what readers of the layout are told to ignore.
  std::vector<std::string> floats;
  /// Tensors that stay floats since something else reads them as such (the rows of distances of DeBERTa), or
  /// an output by which they are read for one row of a text (the last layer of a classifier): those are
  /// quantised where Precision::s8 does it, when they are packed (models::kAtLoad).
  std::vector<std::string> at_load;
  /// Tensors that the layout has no place for, which stay as they are and are quantised when they are packed: the
  /// experts of a layer in one.
  std::vector<std::string> no_linears;
  TensorFactors factors;  ///< `of` those of `whole`
};

/// The weights of `own` that Precision::s8 quantises in the main output and in all outputs together of every
/// one of `packages` that reads them, with the same factors, and that nothing else reads. A fused weight is
/// all or nothing.
///
/// `keep`: modules that stay floats, or modules above them ("encoder.layer.11"). `with_words`: tables of words
/// too, X.weight (V,H) of floats whose rows are taken by the ids of tokens, and which nothing else reads but
/// linears that Precision::s8 quantises; as far as `keep` does not name them.
/// Throws invalid_argument naming what of `keep` is none.
IntegerTensors choose_integer_tensors(std::span<const models::Package> packages,
                                      const Checkpoint& own, std::span<const std::string> keep,
                                      bool with_words = false);

/// Tensors of weights that Precision::s8 quantises and that can be stored as whole numbers or be kept from it.
std::set<std::string> quantized_tensors(std::span<const models::Package> packages,
                                        const Checkpoint& own);
/// Those of them, and `with_words` of tables of words, that `keep` names, and those that are fused with them.
/// Throws as above.
std::set<std::string> tensors_that_stay(std::span<const models::Package> packages,
                                        const Checkpoint& own, std::span<const std::string> keep,
                                        bool with_words = false);

}  // namespace tessera
