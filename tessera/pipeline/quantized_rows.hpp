// SPDX-License-Identifier: Apache-2.0
// A tensor of a checkpoint as whole numbers of 8 bits, a scale for each row: those that Precision::s8 packs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/weights/checkpoint.hpp"

namespace tessera {

struct QuantizedRows {
  std::vector<std::byte> numbers;  ///< (N,K) s8
  std::vector<float> scales;       ///< (N)
};

/// `tensor` (N,K) of floats, its columns divided by `factors` (K), or none; clipped as Parameter::clips says, or
/// not. Throws corrupt_file naming tensor and row: a value is not finite.
QuantizedRows quantize_rows(const Checkpoint& own, const StoredTensor& tensor,
                            std::span<const float> factors = {}, bool clips = false);

}  // namespace tessera
