// SPDX-License-Identifier: Apache-2.0
// An image of three 8-bit channels: what every decoder gives and every resize takes.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/types.hpp"

namespace tessera::image {

inline constexpr Index kChannels = 3;

struct RgbImage {
  Index width = 0, height = 0;
  std::vector<std::uint8_t> pixels;  // (height, width, 3)

  /// Takes the extents; keeps the memory of a larger image before it.
  void resize(Index new_width, Index new_height) {
    width = new_width;
    height = new_height;
    pixels.resize(static_cast<std::size_t>(width * height * kChannels));
  }
  std::uint8_t* row(Index y) noexcept { return pixels.data() + y * width * kChannels; }
  const std::uint8_t* row(Index y) const noexcept { return pixels.data() + y * width * kChannels; }
};

}  // namespace tessera::image
