// SPDX-License-Identifier: Apache-2.0
#include "models/image/decode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "models/image/codecs.hpp"
#include "models/image/orientation.hpp"
#include "runtime/base/error.hpp"

namespace tessera::image {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kJpeg = "\xFF\xD8\xFF"sv;
constexpr std::string_view kPng = "\x89PNG\r\n\x1A\n"sv;

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  const char* what;
};

// What people have in their folders, so that the message can say it.
constexpr Signature kOthers[] = {
    {0, "GIF8"sv, "a GIF image"},         {8, "WEBP"sv, "a WebP image"},
    {0, "II*\0"sv, "a TIFF image"},       {0, "MM\0*"sv, "a TIFF image"},
    {4, "ftypavif"sv, "an AVIF image"},   {4, "ftyphei"sv, "a HEIF image"},
    {4, "ftypmif"sv, "a HEIF image"},     {0, "\0\0\0\x0CjP  "sv, "a JPEG 2000 image"},
    {0, "\xFF\x0A"sv, "a JPEG XL image"}, {0, "%PDF"sv, "a PDF document"},
    {0, "<svg"sv, "an SVG image"},        {0, "<?xml"sv, "an XML document"},
    {0, "P6"sv, "a PPM image"},
};

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string looks_like(std::string_view text) {
  if (text.empty()) return "an empty file";
  for (const Signature& other : kOthers) {
    if (text.substr(std::min(other.offset, text.size())).starts_with(other.bytes)) {
      return other.what;
    }
  }
  // "BM", the size, four zeros: two letters alone may begin a text
  if (text.starts_with("BM"sv) &&
      text.substr(std::min(text.size(), std::size_t{6})).starts_with("\0\0\0\0"sv)) {
    return "a BMP image";
  }
  std::string first;
  for (const char c : text.substr(0, 4)) {
    first += fmt::format("{}{:02x}", first.empty() ? "" : " ", static_cast<unsigned char>(c));
  }
  return fmt::format("a file that begins with {}", first);
}

}  // namespace

void check_extents(Index width, Index height, const std::string& name, const DecodeLimits& limits) {
  const bool is_empty = width < 1 || height < 1;
  if (!is_empty && width <= limits.max_side && height <= limits.max_side &&
      width <= limits.max_pixels / height) {
    return;
  }
  throw Error(ErrorCode::corrupt_file,
              fmt::format("{}: got an image of {} x {} pixels, expected {}", name, width, height,
                          is_empty ? std::string("at least 1 x 1")
                                   : fmt::format("at most {} on a side and {} in all",
                                                 limits.max_side, limits.max_pixels)));
}

void decode(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image) {
  const std::string_view text = text_of(bytes);
  int orientation = 1;
  if (text.starts_with(kJpeg)) {
    orientation = decode_jpeg(bytes, name, limits, image);
  } else if (text.starts_with(kPng)) {
    orientation = decode_png(bytes, name, limits, image);
  } else {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: got {}, expected a JPEG or PNG image", name, looks_like(text)));
  }
  orient(orientation, image);
}

}  // namespace tessera::image
