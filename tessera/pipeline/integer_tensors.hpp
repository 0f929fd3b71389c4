// SPDX-License-Identifier: Apache-2.0
// Which tensors of a checkpoint can be stored as whole numbers so that Precision::s8 computes the same bits.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "models/package.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {

struct IntegerTensors {
  std::set<std::string> whole;  ///< X.weight (N,K)
  /// Modules X whose weight stays floats, tables left out: what readers of the layout are told to ignore.
  std::vector<std::string> floats;
  /// Of these, those that Precision::s8 quantises in one output or place and not in another: the last layer
  /// of a model whose main output reads one row of a text.
  std::vector<std::string> partly;
};

/// The weights of `own` that Precision::s8 quantises in the main output and in all outputs together of every
/// one of `packages` that reads them, and that nothing else reads. A fused weight is all or nothing.
///
/// `keep`: modules that stay floats, or modules above them ("encoder.layer.11").
/// Throws invalid_argument naming what of `keep` is none.
IntegerTensors choose_integer_tensors(std::span<const models::Package> packages,
                                      const Checkpoint& own, std::span<const std::string> keep);

}  // namespace tessera
