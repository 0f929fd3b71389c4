// SPDX-License-Identifier: Apache-2.0
//
// Image files to RGB, as the reference's load_image() gives them: Pillow's
// Image.open(file), ImageOps.exif_transpose(), convert("RGB").
//
//   JPEG  baseline, progressive, arithmetic; grey, RGB, YCbCr, and CMYK or YCCK, which are taken as
//         Adobe writes them: inverted. libjpeg-turbo with its default DCT and upsampling.
//   PNG   every colour type and depth, interlaced or not. Alpha and tRNS are dropped, not blended;
//         16-bit grey is clipped to 255, 16-bit colour keeps its high byte.
//   WebP  lossy and lossless; alpha is dropped. libwebp with its default upsampling.
//   GIF   interlaced or not; a frame smaller than its screen lies on the transparent colour, or 0.
//   BMP   1 to 32 bits, run lengths, bottom-up or top-down.
//   TIFF  strips and tiles; bilevel, grey, palette, RGB, CMYK, YCbCr; no compression, LZW, Deflate,
//         PackBits, JPEG, CCITT; alpha is dropped. Turned once by its orientation, as Pillow does
//         from 10.1 on.
//   Several images in one file (APNG, MPO, animations, pages): the first.
#pragma once

#include <span>
#include <string>

#include "models/image/image.hpp"

namespace tessera::image {

/// What is refused before a pixel is allocated.
struct DecodeLimits {
  Index max_side = 65500;          ///< the most that a JPEG can have
  Index max_pixels = 178'956'970;  ///< where Pillow sees a decompression bomb
};

/// Decodes `bytes` into `image`, whose memory is used again. `name` is how messages call the file.
///
/// The type is told by content, never by the name.
/// Errors    corrupt_file: truncated or contradictory, none of these types (says what it looks
///           like), more than the limits allow; out_of_memory. `image` is unspecified then. What a
///           decoder could mend is a warning in the log.
void decode(std::span<const std::uint8_t> bytes, const std::string& name,
            const DecodeLimits& limits, RgbImage& image);

/// The number of bytes that tell the type.
inline constexpr std::size_t kImageHead = 18;

/// Whether a file that begins with `head` is of a type that decode() takes.
bool is_image(std::span<const std::uint8_t> head);

}  // namespace tessera::image
