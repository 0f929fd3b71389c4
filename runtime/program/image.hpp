// SPDX-License-Identifier: Apache-2.0
// One image of a batch, as the model sees it, and how many token rows it takes.
#pragma once

#include <cstdint>

#include "kernels/types.hpp"
#include "runtime/program/space.hpp"

namespace tessera {

struct ImageSpec;
struct Program;

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

/// Rows of `space` that an image of this size has, whose token rows are `rows`: of a space of maps, of the
/// tokens, or one.
Index rows_in(const Program& program, SpaceId space, Index height, Index width,
              Index rows) noexcept;

/// How much of SessionOptions::max_rows an image takes: its token rows, or more where windows over its
/// maps have more cells than those of the native size would have over as many tokens. Images of which
/// these add up to max_rows at most run together. Throws as image_rows().
Index image_room(const Program& program, Index height, Index width, bool interpolate = false);

}  // namespace tessera
