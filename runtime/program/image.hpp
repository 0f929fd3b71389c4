// SPDX-License-Identifier: Apache-2.0
// One image of a batch, as the model sees it, and how many token rows it takes.
#pragma once

#include <cstdint>

#include "kernels/types.hpp"

namespace tessera {

struct ImageSpec;

/// Normalised values, or 8-bit pixels and what each value stands for. With
/// values[c][v] = (v·rescale − mean_c)/std_c both give the same bits.
struct Image {
  const float* planes = nullptr;         ///< (C, height, width) f32, contiguous; or null
  const std::uint8_t* pixels = nullptr;  ///< (height, width, C) interleaved; `values` is then set
  const float* values = nullptr;         ///< (C, 256): the normalised value of each 8-bit value
  Index height = 0, width = 0;
};

/// Token rows of an image of this size: special tokens and patches.
/// Throws Error{invalid_argument} naming the size and what is expected, if the model takes none
/// of this size. `interpolate` is Batch::interpolate_positions.
Index image_rows(const ImageSpec& spec, Index height, Index width, bool interpolate = false);

}  // namespace tessera
