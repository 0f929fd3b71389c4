// SPDX-License-Identifier: Apache-2.0
#include "models/image/tiff_samples.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "models/image/codecs.hpp"

namespace tessera::image {
namespace {

enum Photometric : int { white_is_zero, black_is_zero, rgb, palette, cmyk = 5, ycbcr, lab = 8 };
enum Extra : std::uint16_t { unspecified, associated, unassociated };

bool is_small(int bits) {
  return bits == 1 || bits == 2 || bits == 4 || bits == 8;
}

// Samples beyond the colours: an alpha, perhaps, and up to two that are not named.
bool has_known_extra(const SampleFields& fields, int colors, int most) {
  const int count = static_cast<int>(fields.extra.size());
  if (fields.samples != colors + count || count > most) return false;
  return std::all_of(fields.extra.begin() + std::min(count, 1), fields.extra.end(),
                     [](std::uint16_t kind) { return kind == unspecified; });
}

bool reads_grey(const SampleFields& fields, SampleLayout& layout) {
  const bool is_white_zero = fields.photometric == white_is_zero, is_little = !fields.is_big_endian;
  const int bits = fields.bits;
  layout.is_inverted = is_white_zero && bits <= 8;  // wider ones are not, in Pillow
  if (fields.samples == 2) {
    return !is_white_zero && bits == 8 && fields.format == 1 && fields.extra.size() == 1 &&
           fields.extra[0] == unassociated;
  }
  if (fields.samples != 1 || !fields.extra.empty()) return false;
  switch (fields.format) {
    case 1:
      return is_small(bits) || (bits == 12 && !is_white_zero && is_little) ||
             (bits == 16 && (!is_white_zero || is_little)) ||
             (bits == 32 && !is_white_zero && is_little);
    case 2:
      return !is_white_zero && (bits == 16 || bits == 32);
    case 3:
      return bits == 32;
    default:
      return false;
  }
}

bool reads_rgb(const SampleFields& fields, SampleLayout& layout) {
  const bool has_kind = !fields.extra.empty();
  layout.is_premultiplied = has_kind && fields.extra[0] == associated;
  const bool is_unnamed = !has_kind && fields.samples == 4;  // the fourth is alpha all the same
  if (is_unnamed) return fields.bits == 8 || fields.bits == 16;
  return (fields.bits == 8 && has_known_extra(fields, 3, 3)) ||
         (fields.bits == 16 && has_known_extra(fields, 3, 1));
}

bool reads_cmyk(const SampleFields& fields) {
  const bool is_unnamed = fields.extra.empty() || fields.extra[0] == unspecified;
  return (fields.bits == 8 && is_unnamed && has_known_extra(fields, 4, 2)) ||
         (fields.bits == 16 && !fields.is_big_endian && has_known_extra(fields, 4, 0));
}

std::uint8_t clipped(std::int64_t value) {
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(value, 0, 255));
}

template <class Number>
Number load(const std::uint8_t* at) {
  Number number{};
  std::memcpy(&number, at, sizeof number);
  return number;
}

// Sample `i` of a row of 1, 2, 4 or 8 bits, the first in the high bits.
unsigned small_sample(const std::uint8_t* in, Index i, int bits) {
  const Index bit = i * bits;
  return static_cast<unsigned>(in[bit / 8] >> (8 - bits - bit % 8)) & ((1U << bits) - 1);
}

// 12, 16 and 32 bits lose what is not within 0 ... 255, as Pillow's I and F to L do.
std::uint8_t wide_grey(const SampleLayout& layout, const std::uint8_t* in, Index i) {
  if (layout.bits == 12) {
    const std::uint8_t* const pair = in + i / 2 * 3;
    return clipped(i % 2 == 0 ? pair[0] << 4 | pair[1] >> 4 : (pair[1] & 15) << 8 | pair[2]);
  }
  if (layout.bits == 16) {
    return layout.number == NumberKind::integer ? clipped(load<std::int16_t>(in + 2 * i))
                                                : clipped(load<std::uint16_t>(in + 2 * i));
  }
  if (layout.number != NumberKind::real) return clipped(load<std::int32_t>(in + 4 * i));
  const auto value = load<float>(in + 4 * i);
  return value >= 255.0F ? 255 : value > 0.0F ? static_cast<std::uint8_t>(value) : 0;  // NaN: 0
}

}  // namespace

std::optional<SampleLayout> sample_layout(const SampleFields& fields) {
  SampleLayout layout;
  layout.bits = fields.bits;
  layout.samples = fields.samples;
  layout.number = fields.format == 3   ? NumberKind::real
                  : fields.format == 2 ? NumberKind::integer
                                       : NumberKind::natural;
  bool is_read = false;
  switch (fields.photometric) {
    case white_is_zero:
    case black_is_zero:
      layout.kind = SampleKind::grey;
      return reads_grey(fields, layout) ? std::optional(layout) : std::nullopt;
    case rgb:
      layout.kind = SampleKind::rgb;
      is_read = reads_rgb(fields, layout);
      break;
    case palette:
      layout.kind = SampleKind::palette;
      is_read = fields.samples == 1
                    ? is_small(fields.bits) && fields.extra.empty()
                    : fields.samples == 2 && fields.bits == 8 && fields.extra.size() == 1 &&
                          fields.extra[0] == unassociated;
      break;
    case cmyk:
      layout.kind = SampleKind::cmyk;
      is_read = reads_cmyk(fields);
      break;
    case ycbcr:  // without compression Pillow takes three samples for four
      layout.kind = SampleKind::ycbcr;
      is_read =
          fields.bits == 8 && fields.samples == 3 && fields.extra.empty() && fields.is_compressed;
      break;
    default:
      break;
  }
  return is_read && fields.format == 1 ? std::optional(layout) : std::nullopt;
}

std::string describe(const SampleFields& fields) {
  static constexpr const char* kNames[] = {"white is zero", "black is zero", "RGB",
                                           "palette",       "mask",          "CMYK",
                                           "YCbCr",         "unknown",       "CIELab"};
  const bool is_known = fields.photometric >= 0 && fields.photometric <= lab;
  return fmt::format("photometric {} ({}), {} samples of {} bits in format {}, {} of them extra{}",
                     fields.photometric, is_known ? kNames[fields.photometric] : "unknown",
                     fields.samples, fields.bits, fields.format, fields.extra.size(),
                     fields.is_compressed ? "" : ", uncompressed");
}

void convert_samples(const SampleLayout& layout, const std::uint8_t* in, Index count,
                     std::uint8_t* out) {
  const Index samples = layout.samples, size = layout.bits / 8;
  const Index step = samples * size;
  switch (layout.kind) {
    case SampleKind::grey: {
      const int scale = layout.bits < 8 ? 255 / ((1 << layout.bits) - 1) : 1;
      for (Index x = 0; x < count; ++x, out += kChannels) {
        int grey = layout.bits <= 8
                       ? static_cast<int>(small_sample(in, x * samples, layout.bits)) * scale
                       : wide_grey(layout, in, x);
        if (layout.is_inverted) grey = 255 - grey;
        std::memset(out, grey, kChannels);
      }
      return;
    }
    case SampleKind::palette:
      for (Index x = 0; x < count; ++x, out += kChannels) {
        const unsigned index = small_sample(in, x * samples, layout.bits);
        std::memcpy(out, layout.palette[index].data(), kChannels);
      }
      return;
    case SampleKind::cmyk:
      in += size - 1;  // the high byte
      for (Index x = 0; x < count; ++x, in += step, out += kChannels) {
        for (Index c = 0; c < kChannels; ++c) {
          out[c] = cmyk_to_rgb(in[c * size], 255 - in[3 * size]);
        }
      }
      return;
    default:
      in += size - 1;
      for (Index x = 0; x < count; ++x, in += step, out += kChannels) {
        const int alpha = layout.is_premultiplied ? in[3 * size] : 255;
        for (Index c = 0; c < kChannels; ++c) {
          out[c] = alpha == 0 ? 0 : clipped(in[c * size] * 255 / alpha);
        }
      }
  }
}

}  // namespace tessera::image
