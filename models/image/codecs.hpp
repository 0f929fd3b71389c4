// SPDX-License-Identifier: Apache-2.0
// The two decoders behind decode(), and what they share.
#pragma once

#include <span>
#include <string>

#include "models/image/decode.hpp"

namespace tessera::image {

using Bytes = std::span<const std::uint8_t>;

/// Pixels as the file stores them into `image`; returns the EXIF orientation, 1 to 8.
int decode_jpeg(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image);
int decode_png(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image);

/// Throws corrupt_file for extents of zero or above the limits.
void check_extents(Index width, Index height, const std::string& name, const DecodeLimits& limits);

}  // namespace tessera::image
