// SPDX-License-Identifier: Apache-2.0
// An image of random pixels, as a batch takes it.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/program/image.hpp"
#include "tests/support/tensors.hpp"

namespace tessera::test {

/// Random pixels, and the values that they stand for.
struct TestImage {
  TestImage(Index channels, Index h, Index w, std::uint64_t seed) : height(h), width(w) {
    Random random{seed};
    for (Index c = 0; c < channels * 256; ++c) values.push_back(random.normal());
    pixels.resize(static_cast<std::size_t>(channels * h * w));
    planes.resize(pixels.size());
    for (Index y = 0; y < h; ++y) {
      for (Index x = 0; x < w; ++x) {
        for (Index c = 0; c < channels; ++c) {
          const auto pixel = static_cast<std::uint8_t>(random.bits() >> 56U);
          pixels[static_cast<std::size_t>((y * w + x) * channels + c)] = pixel;
          planes[static_cast<std::size_t>((c * h + y) * w + x)] =
              values[static_cast<std::size_t>(c * 256 + pixel)];
        }
      }
    }
  }
  Image of_floats() const { return {.planes = planes.data(), .height = height, .width = width}; }
  Image of_bytes() const {
    return {.pixels = pixels.data(), .values = values.data(), .height = height, .width = width};
  }
  Index height, width;
  std::vector<float> values, planes;
  std::vector<std::uint8_t> pixels;
};

}  // namespace tessera::test
