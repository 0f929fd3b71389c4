// SPDX-License-Identifier: Apache-2.0
//
// How a camera was held: the tag Orientation (0x0112) of EXIF or XMP, 1 (upright) to 8.
// What cannot be understood counts as upright.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "models/image/image.hpp"

namespace tessera::image {

/// From the first directory of a TIFF block, with or without "Exif\0\0" before it.
std::optional<int> exif_orientation(std::span<const std::uint8_t> block);

/// The field `tag` (one SHORT or LONG) of the first directory of a TIFF, BigTIFF too.
std::optional<std::uint32_t> tiff_number(std::span<const std::uint8_t> block, unsigned tag);

/// From the hexadecimal text of a PNG's "Raw profile type exif", after its three lines of heading.
std::optional<int> raw_profile_orientation(std::string_view text);

/// tiff:Orientation="N" or <tiff:Orientation>N in a packet of XMP.
std::optional<int> xmp_orientation(std::string_view packet);

/// Turns and mirrors `image` upright, as ImageOps.exif_transpose() does. Any other number than 2 to
/// 8 leaves it as it is.
void orient(int orientation, RgbImage& image);

}  // namespace tessera::image
