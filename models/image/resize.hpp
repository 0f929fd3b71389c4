// SPDX-License-Identifier: Apache-2.0
//
// Resizing as Pillow defines it, pixel for pixel: Image.resize(size, resample).
//
// A filter of support r is stretched by the factor of the reduction (antialiasing): output i has
// its centre at (i + ½)·scale and takes the inputs within r·max(scale, 1) of it. Weights are
// rounded to 22 bits; rows come first and are rounded to 8 bits before the columns. Source:
// Pillow 9.4, src/libImaging/Resample.c and Geometry.c.
#pragma once

#include <cstdint>
#include <vector>

#include "models/image/image.hpp"
#include "runtime/image/resample.hpp"

namespace tessera::image {

/// As preprocessor_config.json numbers them: PIL.Image.Resampling.
enum class Filter : std::uint8_t {
  nearest = 0,
  lanczos = 1,   ///< sinc(x)·sinc(x/3), |x| < 3
  bilinear = 2,  ///< 1 − |x|, |x| < 1
  bicubic = 3,   ///< Keys, a = −½
  box = 4,       ///< 1, |x| ≤ ½
  hamming = 5,   ///< sinc(x)·(0.54 + 0.46 cos πx), |x| < 1
};

/// A rectangle of the resized image: what is computed of it.
struct Window {
  Index left = 0, top = 0, width = 0, height = 0;
};

/// The part `window` of `in` resized to (width, height), into `out`, whose memory is used again.
///
/// Preconditions  `window` lies within the resized image, and has an area
void resize(const RgbImage& in, Index width, Index height, Filter filter, const Window& window,
            Resampler& resampler, RgbImage& out);

/// `in` resized to (width, height) without rounding to bytes: out (3, height, width) f32, of 0 … 255 for
/// bytes. `row` keeps its memory.
///
/// Preconditions  width, height ≥ 1; not Filter::nearest
void resize_values(const RgbImage& in, Index width, Index height, Filter filter,
                   std::vector<float>& row, std::vector<float>& out);

}  // namespace tessera::image
