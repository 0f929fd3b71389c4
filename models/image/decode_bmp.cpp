// SPDX-License-Identifier: Apache-2.0
//
// BMP: the 14 bytes of the file, a header (OS/2: 12 or 64 bytes; Windows: 40, 108 or 124), bit
// masks, a palette, rows of 4·n bytes from the bottom up, or from the top where the height is
// negative. 1, 4 and 8 bits are indices, 16, 24 and 32 colours; 4 and 8 bits may be run lengths.
// What Pillow's BmpImagePlugin.py reads is read, by the same rules, and gives the same pixels.
//
// Where Pillow 9.4 takes a valid file amiss (the second byte pair of a delta, an odd count of 4-bit
// pixels, an empty row in run lengths; 4 or 8 bits with a palette of black and white), the file's
// pixels are given.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <optional>

#include "models/image/codecs.hpp"

namespace tessera::image {
namespace {

constexpr std::string_view kFormat = "BMP";
constexpr std::size_t kFileHeader = 14, kOs2Header = 12, kWindowsHeader = 40;
enum Compression : std::uint32_t { none, rle8, rle4, bit_fields };
using Rgb = std::array<std::uint8_t, 3>;

// How a pixel of 16 or more bits is laid: the shift and width of each channel.
struct Channels {
  std::array<unsigned, 3> shift;  // red, green, blue
  std::array<unsigned, 3> bits;
};
constexpr Channels k555{{10, 5, 0}, {5, 5, 5}}, k565{{11, 5, 0}, {5, 6, 5}},
    kBgr{{16, 8, 0}, {8, 8, 8}}, kXbgr{{24, 16, 8}, {8, 8, 8}}, kRgba{{0, 8, 16}, {8, 8, 8}};

struct Reader {
  const std::string& name;
  Bytes bytes;
  Index width = 0, height = 0;
  bool is_top_down = false;
  unsigned bits = 0;
  std::uint32_t compression = none;
  std::size_t pixels_at = 0;
  Channels channels = kBgr;
  std::array<Rgb, 256> palette{};

  std::uint32_t number(std::size_t at, std::size_t size) const {
    if (at > bytes.size() || bytes.size() - at < size) fail_truncated(name, kFormat, bytes.size());
    std::uint32_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8U | bytes[at + i];
    return value;
  }
  [[noreturn]] void refuse(const std::string& text) const { fail_corrupt(name, kFormat, text); }
};

std::optional<Channels> channels_of(unsigned bits, const std::array<std::uint32_t, 4>& mask) {
  struct Known {
    unsigned bits;
    std::array<std::uint32_t, 4> mask;
    Channels channels;
  };
  static constexpr Known kKnown[] = {
      {32, {0xFF0000, 0xFF00, 0xFF, 0}, kBgr},
      {32, {0xFF000000, 0xFF0000, 0xFF00, 0}, kXbgr},
      {32, {0xFF000000, 0xFF0000, 0xFF00, 0xFF}, kXbgr},
      {32, {0xFF, 0xFF00, 0xFF0000, 0xFF000000}, kRgba},
      {32, {0xFF0000, 0xFF00, 0xFF, 0xFF000000}, kBgr},
      {32, {0, 0, 0, 0}, kBgr},
      {24, {0xFF0000, 0xFF00, 0xFF, 0}, kBgr},
      {16, {0xF800, 0x7E0, 0x1F, 0}, k565},
      {16, {0x7C00, 0x3E0, 0x1F, 0}, k555},
  };
  for (const Known& known : kKnown) {
    const std::size_t count = bits == 32 ? 4 : 3;  // alpha counts at 32 bits alone
    if (known.bits == bits && std::equal(mask.begin(), mask.begin() + count, known.mask.begin())) {
      return known.channels;
    }
  }
  return std::nullopt;
}

// Masks are within a header of 56 bytes or more, else behind it, without alpha.
std::size_t read_masks(Reader& reader, std::size_t header) {
  const bool is_within = header >= kWindowsHeader + 16;
  std::array<std::uint32_t, 4> mask{};
  for (std::size_t i = 0; i < (is_within ? 4 : 3); ++i) {
    mask[i] = reader.number(kFileHeader + kWindowsHeader + 4 * i, 4);
  }
  const auto channels = channels_of(reader.bits, mask);
  if (!channels) {
    reader.refuse(
        fmt::format("got bit masks {:#x}, {:#x}, {:#x}, {:#x} for {} bits, expected one "
                    "of the layouts that Pillow reads",
                    mask[0], mask[1], mask[2], mask[3], reader.bits));
  }
  reader.channels = *channels;
  return is_within ? 0 : 12;
}

// An index beyond the palette is that grey, as in Pillow.
void read_palette(Reader& reader, std::size_t at, std::uint32_t colors, std::size_t entry) {
  for (std::size_t i = 0; i < 256; ++i) reader.palette[i].fill(static_cast<std::uint8_t>(i));
  if (colors > 256) {
    reader.refuse(fmt::format("got a palette of {} colours, expected at most 256", colors));
  }
  for (std::size_t i = 0; i < colors; ++i) {
    const std::uint32_t bgr = reader.number(at + i * entry, 3);
    reader.palette[i] = {static_cast<std::uint8_t>(bgr >> 16U),
                         static_cast<std::uint8_t>(bgr >> 8U), static_cast<std::uint8_t>(bgr)};
  }
}

void read_header(Reader& reader, const DecodeLimits& limits) {
  const std::size_t header = reader.number(kFileHeader, 4);
  const bool is_os2 = header == kOs2Header;
  if (!is_os2 && header != kWindowsHeader && header != 64 && header != 108 && header != 124) {
    reader.refuse(fmt::format("got a header of {} bytes, expected 12, 40, 64, 108 or 124", header));
  }
  reader.number(kFileHeader + header - 4, 4);  // all of it is there
  std::uint32_t colors = 0;
  if (is_os2) {
    reader.width = reader.number(18, 2);
    reader.height = reader.number(20, 2);
    reader.bits = reader.number(24, 2);
  } else {
    const std::uint32_t height = reader.number(22, 4);
    reader.is_top_down = height >> 24U == 0xFF;
    reader.width = reader.number(18, 4);
    reader.height = reader.is_top_down ? (Index{1} << 32) - Index{height} : Index{height};
    reader.bits = reader.number(28, 2);
    reader.compression = reader.number(30, 4);
    colors = reader.number(46, 4);
  }
  check_extents(reader.width, reader.height, reader.name, limits);
  const unsigned bits = reader.bits;
  if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32) {
    reader.refuse(fmt::format("got {} bits per pixel, expected 1, 4, 8, 16, 24 or 32", bits));
  }
  std::size_t at = kFileHeader + header;
  if (reader.compression == bit_fields) {
    at += read_masks(reader, header);
  } else if (bits == 16) {
    reader.channels = k555;
  }
  const bool is_rle = reader.compression == rle8 || reader.compression == rle4;
  if (reader.compression > bit_fields || (is_rle && bits != (reader.compression == rle8 ? 8 : 4))) {
    reader.refuse(
        fmt::format("got compression {} for {} bits, expected none, bit fields, or run "
                    "lengths of 4 or 8 bits",
                    reader.compression, bits));
  }
  reader.pixels_at = reader.number(10, 4);
  if (bits <= 8) {
    if (colors == 0) colors = 1U << bits;
    const std::size_t entry = is_os2 ? 3 : 4;
    read_palette(reader, at, colors, entry);
    // Some writers forget the palette in the offset.
    if (reader.pixels_at == kFileHeader + header) reader.pixels_at += std::size_t{4} * colors;
    at += entry * colors;
  }
  if (reader.pixels_at == 0) reader.pixels_at = at;
}

std::uint8_t* row_of(const Reader& reader, RgbImage& image, Index y) {
  return image.row(reader.is_top_down ? y : reader.height - 1 - y);
}

void convert_row(const Reader& reader, const std::uint8_t* in, std::uint8_t* out) {
  const unsigned bits = reader.bits;
  for (Index x = 0; x < reader.width; ++x, out += kChannels) {
    if (bits <= 8) {
      const auto bit = static_cast<std::size_t>(x) * bits;
      const unsigned index = in[bit / 8] >> (8 - bits - bit % 8) & ((1U << bits) - 1);
      std::memcpy(out, reader.palette[index].data(), kChannels);
      continue;
    }
    std::uint32_t value = 0;
    for (unsigned i = 0; i < bits / 8; ++i) value |= std::uint32_t{*in++} << (8 * i);
    for (std::size_t c = 0; c < kChannels; ++c) {
      const std::uint32_t most = (1U << reader.channels.bits[c]) - 1;
      out[c] = static_cast<std::uint8_t>((value >> reader.channels.shift[c] & most) * 255 / most);
    }
  }
}

void read_rows(const Reader& reader, RgbImage& image) {
  const auto width = static_cast<std::size_t>(reader.width);
  const auto height = static_cast<std::size_t>(reader.height);
  const std::size_t used = (width * reader.bits + 7) / 8,
                    stride = (width * reader.bits + 31) / 32 * 4;
  const std::size_t size = reader.bytes.size();
  if (reader.pixels_at > size || size - reader.pixels_at < stride * (height - 1) + used) {
    fail_truncated(reader.name, kFormat, size);
  }
  image.resize(reader.width, reader.height);
  for (std::size_t y = 0; y < height; ++y) {
    convert_row(reader, reader.bytes.data() + reader.pixels_at + y * stride,
                row_of(reader, image, static_cast<Index>(y)));
  }
}

// Pairs of bytes: (n, v) is n pixels of v; (0, 0) ends a row, (0, 1) the image, (0, 2) moves by the
// two bytes that follow, (0, n) is n pixels as they are, to an even number of bytes.
void read_runs(const Reader& reader, RgbImage& image) {
  const Bytes bytes = reader.bytes;
  const bool is_4 = reader.compression == rle4;
  const Index W = reader.width, H = reader.height;
  Index x = 0, y = 0;
  std::size_t at = reader.pixels_at;
  const auto take = [&](std::size_t count) {
    if (at > bytes.size() || bytes.size() - at < count) {
      fail_truncated(reader.name, kFormat, bytes.size());
    }
    const std::uint8_t* const data = bytes.data() + at;
    at += count;
    return data;
  };
  take(0);
  image.resize(W, H);
  for (Index i = 0; i < W * H; ++i) {  // what is moved over
    std::memcpy(image.pixels.data() + i * kChannels, reader.palette[0].data(), kChannels);
  }
  // `data` holds the pixels, or the pair that repeats; what is beyond the row is dropped.
  const auto put = [&](const std::uint8_t* data, Index count, bool repeats) {
    for (Index i = 0; i < count && x < W; ++i, ++x) {
      const Index pixel = repeats ? i % 2 : i;
      const unsigned byte = is_4 ? data[pixel / 2] : data[repeats ? 0 : pixel];
      const unsigned index = !is_4 ? byte : pixel % 2 == 0 ? byte >> 4U : byte & 15U;
      std::memcpy(row_of(reader, image, y) + x * kChannels, reader.palette[index].data(),
                  kChannels);
    }
  };
  while (y < H && (y + 1 < H || x < W)) {
    const std::uint8_t* const pair = take(2);
    if (pair[0] > 0) {
      put(pair + 1, pair[0], true);
    } else if (pair[1] == 0) {
      x = 0, ++y;
    } else if (pair[1] == 1) {
      reader.refuse(fmt::format("got an end in row {} of {}, expected all rows", y + 1, H));
    } else if (pair[1] == 2) {
      const std::uint8_t* const by = take(2);
      x += by[0], y += by[1];
      if (x > W || y > H) {
        reader.refuse(
            fmt::format("got a move to ({}, {}), expected one within {} x {}", x, y, W, H));
      }
    } else {
      const std::size_t count = pair[1], size = is_4 ? (count + 1) / 2 : count;
      put(take(size), static_cast<Index>(count), false);
      if (at % 2 != 0) ++at;
    }
  }
}

}  // namespace

int decode_bmp(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image) {
  Reader reader{name, bytes};
  read_header(reader, limits);
  if (reader.compression == rle8 || reader.compression == rle4) {
    read_runs(reader, image);
  } else {
    read_rows(reader, image);
  }
  return 1;
}

}  // namespace tessera::image
