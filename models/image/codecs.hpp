// SPDX-License-Identifier: Apache-2.0
// The decoders behind decode(), and what they share.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "models/image/decode.hpp"

namespace tessera::image {

using Bytes = std::span<const std::uint8_t>;

/// Pixels as the file stores them into `image`; returns the EXIF orientation, 1 to 8.
int decode_jpeg(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image);
int decode_png(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image);
int decode_webp(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image);
int decode_gif(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image);
int decode_bmp(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image);
int decode_tiff(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image);

/// Throws corrupt_file for extents of zero or above the limits.
void check_extents(Index width, Index height, const std::string& name, const DecodeLimits& limits);

/// Throws corrupt_file: `size` bytes end before the image does.
[[noreturn]] void fail_truncated(const std::string& name, std::string_view format,
                                 std::size_t size);

/// Throws corrupt_file: "NAME: FORMAT: TEXT", where `text` says what was got and expected.
[[noreturn]] void fail_corrupt(const std::string& name, std::string_view format,
                               std::string_view text);

/// Throws out_of_memory.
[[noreturn]] void fail_memory(const std::string& name, std::string_view format);

/// One channel of CMYK in RGB, as Pillow's cmyk2rgb() computes it; `white` is 255 - K:
///   clip(white - round(white*ink/255))
inline std::uint8_t cmyk_to_rgb(int ink, int white) noexcept {
  const int product = ink * white + 128;
  return static_cast<std::uint8_t>(std::clamp(white - (((product >> 8) + product) >> 8), 0, 255));
}

}  // namespace tessera::image
