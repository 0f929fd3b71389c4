// SPDX-License-Identifier: Apache-2.0
//
// What the samples of a TIFF mean: which combinations of fields Pillow reads (OPEN_INFO in its
// TiffImagePlugin.py), and a row of each as RGB.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "models/image/image.hpp"

namespace tessera::image {

enum class SampleKind : std::uint8_t { grey, palette, rgb, cmyk, ycbcr };
enum class NumberKind : std::uint8_t { natural, integer, real };

/// The fields of a directory that decide it, by TIFF's names and values.
struct SampleFields {
  int photometric = 0, bits = 1, samples = 1, format = 1;
  std::span<const std::uint16_t> extra;  ///< what the samples beyond the colours are
  bool is_big_endian = false, is_compressed = false;
};

struct SampleLayout {
  SampleKind kind = SampleKind::grey;
  NumberKind number = NumberKind::natural;
  int bits = 8, samples = 1;
  bool is_inverted = false;       ///< 0 is white
  bool is_premultiplied = false;  ///< colours are times alpha
  std::array<std::array<std::uint8_t, 3>, 256> palette{};
};

/// nullopt for what Pillow does not read.
std::optional<SampleLayout> sample_layout(const SampleFields& fields);

/// "photometric 2 (RGB), 3 samples of 8 bits, ..." for messages.
std::string describe(const SampleFields& fields);

/// `count` pixels, samples side by side in the machine's byte order, to RGB. Not for ycbcr.
void convert_samples(const SampleLayout& layout, const std::uint8_t* in, Index count,
                     std::uint8_t* out);

}  // namespace tessera::image
