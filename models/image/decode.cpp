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

using Decoder = int(Bytes, const std::string&, const DecodeLimits&, RgbImage&);

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  const char* what;
};

// What people have in their folders, so that the message can say it.
constexpr Signature kOthers[] = {
    {4, "ftypavif"sv, "an AVIF image"},   {4, "ftyphei"sv, "a HEIF image"},
    {4, "ftypmif"sv, "a HEIF image"},     {0, "\0\0\0\x0CjP  "sv, "a JPEG 2000 image"},
    {0, "\xFF\x0A"sv, "a JPEG XL image"}, {0, "%PDF"sv, "a PDF document"},
    {0, "<svg"sv, "an SVG image"},        {0, "<?xml"sv, "an XML document"},
    {0, "P6"sv, "a PPM image"},
};

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool has(std::string_view text, std::size_t offset, std::string_view bytes) {
  return text.substr(std::min(offset, text.size())).starts_with(bytes);
}

// "BM", the size, four zeros or a header's size: two letters alone may begin a text.
bool is_bmp(std::string_view text) {
  constexpr char kHeaders[] = {12, 40, 64, 108, 124};
  return text.starts_with("BM"sv) &&
         (has(text, 6, "\0\0\0\0"sv) ||
          (has(text, 15, "\0\0\0"sv) &&
           std::find(std::begin(kHeaders), std::end(kHeaders), text[14]) != std::end(kHeaders)));
}

Decoder* decoder_of(std::string_view text) {
  if (has(text, 0, "\xFF\xD8\xFF"sv)) return decode_jpeg;
  if (has(text, 0, "\x89PNG\r\n\x1A\n"sv)) return decode_png;
  if (has(text, 0, "RIFF"sv) && has(text, 8, "WEBP"sv)) return decode_webp;
  if (has(text, 0, "GIF87a"sv) || has(text, 0, "GIF89a"sv)) return decode_gif;
  for (const std::string_view tiff : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv}) {
    if (has(text, 0, tiff)) return decode_tiff;
  }
  return is_bmp(text) ? decode_bmp : nullptr;
}

std::string looks_like(std::string_view text) {
  if (text.empty()) return "an empty file";
  for (const Signature& other : kOthers) {
    if (has(text, other.offset, other.bytes)) return other.what;
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

void fail_truncated(const std::string& name, std::string_view format, std::size_t size) {
  fail_corrupt(name, format,
               fmt::format("got {} bytes and no end of the image, expected more: the file is "
                           "truncated",
                           size));
}

void fail_corrupt(const std::string& name, std::string_view format, std::string_view text) {
  throw Error(ErrorCode::corrupt_file, fmt::format("{}: {}: {}", name, format, text));
}

void fail_memory(const std::string& name, std::string_view format) {
  throw Error(ErrorCode::out_of_memory, fmt::format("{}: {}: out of memory", name, format));
}

bool is_image(Bytes head) {
  return decoder_of(text_of(head)) != nullptr;
}

void decode(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image) {
  const std::string_view text = text_of(bytes);
  Decoder* const decoder = decoder_of(text);
  if (decoder == nullptr) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: got {}, expected a JPEG, PNG, WebP, GIF, BMP or TIFF image", name,
                            looks_like(text)));
  }
  const int orientation = decoder(bytes, name, limits, image);
  orient(orientation, image);
}

}  // namespace tessera::image
