// SPDX-License-Identifier: Apache-2.0
#include "models/image/orientation.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace tessera::image {
namespace {

constexpr unsigned kOrientation = 0x0112, kShort = 3, kLong = 4, kMagic = 42, kBigMagic = 43;

// Numbers of a TIFF block, in its byte order; nothing beyond its end.
struct Tiff {
  std::span<const std::uint8_t> bytes;
  bool is_big_endian;

  std::optional<std::uint64_t> number(std::uint64_t at, std::size_t size) const {
    if (at > bytes.size() || bytes.size() - at < size) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const std::uint64_t byte = bytes[at + (is_big_endian ? i : size - 1 - i)];
      value = value << 8U | byte;
    }
    return value;
  }
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<int> exif_orientation(std::span<const std::uint8_t> block) {
  static constexpr std::array<std::uint8_t, 6> kExif{'E', 'x', 'i', 'f', 0, 0};
  if (block.size() >= kExif.size() && std::equal(kExif.begin(), kExif.end(), block.begin())) {
    block = block.subspan(kExif.size());
  }
  const auto value = tiff_number(block, kOrientation);
  return value && *value <= 8 ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

std::optional<std::uint32_t> tiff_number(std::span<const std::uint8_t> block, unsigned tag) {
  if (block.size() < 8 || block[0] != block[1] || (block[0] != 'I' && block[0] != 'M')) {
    return std::nullopt;
  }
  const Tiff tiff{block, block[0] == 'M'};
  const auto magic = tiff.number(2, 2);
  const bool is_big = magic == kBigMagic;
  if (!is_big && magic != kMagic) return std::nullopt;
  const std::size_t word = is_big ? 8 : 4, head = is_big ? 8 : 2, entry = 4 + 2 * word;
  const auto directory = tiff.number(word, word);
  const auto entries = directory ? tiff.number(*directory, head) : std::nullopt;
  std::optional<std::uint32_t> found;
  for (std::uint64_t i = 0; entries && i < *entries; ++i) {
    const std::uint64_t at = *directory + head + i * entry;
    const auto name = tiff.number(at, 2), type = tiff.number(at + 2, 2),
               count = tiff.number(at + 4, word);
    if (!count) break;  // beyond the end
    if (name != tag || count != 1U || (type != kShort && type != kLong)) continue;
    const auto value = tiff.number(at + 4 + word, type == kShort ? 2 : 4);
    if (value) found = static_cast<std::uint32_t>(*value);
  }
  return found;
}

std::optional<int> raw_profile_orientation(std::string_view text) {
  for (int line = 0; line < 3; ++line) {  // "\nexif\n    1234\n"
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  std::vector<std::uint8_t> digits;
  for (const char c : text) {
    const int digit = hex_digit(c);
    if (digit >= 0) digits.push_back(static_cast<std::uint8_t>(digit));
    if (digit < 0 && c != '\n' && c != ' ') return std::nullopt;
  }
  std::vector<std::uint8_t> block;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    block.push_back(static_cast<std::uint8_t>(digits[i] << 4 | digits[i + 1]));
  }
  return exif_orientation(block);
}

std::optional<int> xmp_orientation(std::string_view packet) {
  constexpr std::string_view kName = "tiff:Orientation";
  for (std::size_t at = 0; (at = packet.find(kName, at)) != std::string_view::npos;) {
    at += kName.size();
    std::string_view rest = packet.substr(at);
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with('>')) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return std::nullopt;
}

// out[y, x] = in[first + y·down + x·right], for each of the eight ways to lay a rectangle.
void orient(int orientation, RgbImage& image) {
  if (orientation < 2 || orientation > 8) return;
  const Index W = image.width, H = image.height;
  const bool is_turned = orientation >= 5;  // rows become columns
  // Does a step to the right (down) in the result go backwards in the stored axis?
  const bool flips_right =
                 orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7,
             flips_down =
                 orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const Index right_unit = is_turned ? W : 1, down_unit = is_turned ? 1 : W;
  RgbImage out;
  out.resize(is_turned ? H : W, is_turned ? W : H);
  const Index right = flips_right ? -right_unit : right_unit,
              down = flips_down ? -down_unit : down_unit;
  const Index first = (flips_right ? (out.width - 1) * right_unit : 0) +
                      (flips_down ? (out.height - 1) * down_unit : 0);
  constexpr Index kBlock = 32;  // 32 x 32 pixels of either side: 6 KiB
  for (Index y0 = 0; y0 < out.height; y0 += kBlock) {
    for (Index x0 = 0; x0 < out.width; x0 += kBlock) {
      const Index x1 = std::min(x0 + kBlock, out.width), y1 = std::min(y0 + kBlock, out.height);
      for (Index y = y0; y < y1; ++y) {
        std::uint8_t* to = out.row(y) + x0 * kChannels;
        for (Index x = x0; x < x1; ++x, to += kChannels) {
          std::memcpy(to, image.pixels.data() + (first + y * down + x * right) * kChannels,
                      kChannels);
        }
      }
    }
  }
  image = std::move(out);
}

}  // namespace tessera::image
