// SPDX-License-Identifier: Apache-2.0
// Any bytes give an image of the limits' size, or an Error.
#include <cstdint>
#include <span>

#include "models/image/decode.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {
namespace {

// A megapixel: more takes time that says nothing.
constexpr image::DecodeLimits kLimits{4096, 1 << 20};

}  // namespace

void run(std::string_view input) {
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  image::RgbImage image;
  image::decode(bytes, "a.file", kLimits, image);
  require(image.width > 0 && image.height > 0 && image.width <= kLimits.max_side &&
              image.height <= kLimits.max_side &&
              image.width * image.height <= kLimits.max_pixels &&
              image.pixels.size() ==
                  static_cast<std::size_t>(image.width * image.height * image::kChannels),
          "an image has its size");
}

Seeds seeds() {
  Seeds all, out;
  add_files("data/images/decode", 6000, "", all);
  for (auto& seed : all) {
    if (!seed.first.ends_with(".ppm")) out.push_back(std::move(seed));
  }
  return out;
}

}  // namespace tessera::fuzz
