// SPDX-License-Identifier: Apache-2.0
//
// PNG through libpng, which inflates and unfilters only; what a sample means is decided here, as
// Pillow does. An error inside libpng leaves by longjmp() into the function that called it; these
// functions hold nothing that has a destructor.
#include <fmt/format.h>
#include <png.h>

#include <array>
#include <csetjmp>
#include <cstdlib>
#include <cstring>

#include "models/image/codecs.hpp"
#include "models/image/orientation.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"

namespace tessera::image {
namespace {

struct Reader {
  png_struct* png = nullptr;
  png_info* info = nullptr;
  Bytes rest;                   // of the file
  std::size_t most_memory = 0;  // that libpng may take at once
  std::array<char, 200> message{};
  bool is_truncated = false;
  int warnings = 0;

  png_uint_32 width = 0, height = 0;
  int depth = 0, color = 0, interlace = 0;
  png_color* palette = nullptr;
  int palette_size = 0;

  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void keep(Reader& reader, const char* message) {
  std::strncpy(reader.message.data(), message, reader.message.size() - 1);
}

[[noreturn]] void leave(png_struct* png, const char* message) {
  keep(*static_cast<Reader*>(png_get_error_ptr(png)), message);
  png_longjmp(png, 1);
}

void note_warning(png_struct* png, const char* message) {
  Reader& reader = *static_cast<Reader*>(png_get_error_ptr(png));
  if (reader.warnings++ == 0) keep(reader, message);
}

// libpng takes a chunk's memory by its length, which may be 2 GB, before its bytes are missed.
void* take_memory(png_struct* png, png_alloc_size_t size) {
  const Reader& reader = *static_cast<Reader*>(png_get_mem_ptr(png));
  return size <= reader.most_memory ? std::malloc(size) : nullptr;
}

void free_memory(png_struct* /*png*/, void* memory) {
  std::free(memory);
}

void read_bytes(png_struct* png, png_byte* to, std::size_t count) {
  Reader& reader = *static_cast<Reader*>(png_get_io_ptr(png));
  if (count > reader.rest.size()) {
    reader.is_truncated = true;
    png_error(png, "end of file");
  }
  std::memcpy(to, reader.rest.data(), count);
  reader.rest = reader.rest.subspan(count);
}

bool read_header(Reader& reader) {
  // Chunks that change no pixel here, and that files often have wrong.
  static constexpr png_byte kIgnored[] =
      "bKGD\0cHRM\0gAMA\0hIST\0iCCP\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0tIME\0tRNS";
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, kIgnored,
                              static_cast<int>(sizeof kIgnored / 5));
  png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_extents() says better
  png_set_check_for_invalid_index(reader.png, 0);
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_read_info(reader.png, reader.info);
  png_get_IHDR(reader.png, reader.info, &reader.width, &reader.height, &reader.depth, &reader.color,
               &reader.interlace, nullptr, nullptr);
  png_get_PLTE(reader.png, reader.info, &reader.palette, &reader.palette_size);
  png_set_packing(reader.png);  // 1, 2 and 4 bits to a byte each
  return true;
}

bool read_rows(Reader& reader, png_byte* rows, std::size_t row_bytes, png_uint_32 count) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  for (png_uint_32 y = 0; y < count; ++y) {
    png_read_row(reader.png, rows + y * row_bytes, nullptr);
  }
  return true;
}

// What begins a row; each pass of an interlaced image goes over all rows.
bool start_rows(Reader& reader, int& passes) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  passes = png_set_interlace_handling(reader.png);
  png_start_read_image(reader.png);
  return true;
}

bool read_end(Reader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_end(reader.png, reader.info);
  return true;
}

std::uint8_t clipped(const png_byte* big_endian) {
  return big_endian[0] != 0 ? 255 : big_endian[1];  // I;16B → RGB in Pillow
}

// One row of samples, depth 8 or 16, to RGB.
void convert_row(const Reader& reader, const png_byte* in, std::uint8_t* out) {
  const bool is_wide = reader.depth == 16;
  const Index step = is_wide ? 2 : 1;  // bytes of a sample; the first is the high one
  const Index pixels = reader.width;
  switch (reader.color) {
    case PNG_COLOR_TYPE_PALETTE:
      for (Index x = 0; x < pixels; ++x, out += kChannels) {
        const bool is_known = in[x] < reader.palette_size;
        const png_color color = is_known ? reader.palette[in[x]] : png_color{0, 0, 0};
        out[0] = color.red, out[1] = color.green, out[2] = color.blue;
      }
      return;
    case PNG_COLOR_TYPE_GRAY: {
      // 1, 2 and 4 bits: 0 … 2ⁿ−1 spread over 0 … 255
      const int scale = reader.depth < 8 ? 255 / ((1 << reader.depth) - 1) : 1;
      for (Index x = 0; x < pixels; ++x, out += kChannels) {
        const auto grey = is_wide ? clipped(in + 2 * x) : static_cast<std::uint8_t>(in[x] * scale);
        std::memset(out, grey, kChannels);
      }
      return;
    }
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      for (Index x = 0; x < pixels; ++x, out += kChannels) std::memset(out, in[2 * step * x], 3);
      return;
    default: {
      const Index samples = reader.color == PNG_COLOR_TYPE_RGB_ALPHA ? 4 : 3;
      for (Index x = 0; x < pixels; ++x, out += kChannels) {
        for (Index c = 0; c < kChannels; ++c) out[c] = in[(x * samples + c) * step];
      }
    }
  }
}

std::string_view text_of(const png_text& text) {
  const bool is_international = text.compression >= PNG_ITXT_COMPRESSION_NONE;
  return {text.text, is_international ? text.itxt_length : text.text_length};
}

// eXIf, else "Raw profile type exif"; without the tag in them, XMP.
int orientation_of(const Reader& reader) {
  png_uint_32 size = 0;
  png_byte* block = nullptr;
  const bool has_exif = png_get_eXIf_1(reader.png, reader.info, &size, &block) != 0;
  std::optional<int> found, from_xmp;
  if (has_exif) found = exif_orientation({block, size});
  png_text* texts = nullptr;
  const int count = png_get_text(reader.png, reader.info, &texts, nullptr);
  for (int i = 0; i < count; ++i) {
    const std::string_view key = texts[i].key;
    if (key == "Raw profile type exif" && !has_exif) {
      found = raw_profile_orientation(text_of(texts[i]));
    } else if (key == "XML:com.adobe.xmp") {
      from_xmp = xmp_orientation(text_of(texts[i]));
    }
  }
  return found ? *found : from_xmp.value_or(1);
}

[[noreturn]] void fail(const Reader& reader, const std::string& name, std::size_t size) {
  if (reader.is_truncated) fail_truncated(name, "PNG", size);
  fail_corrupt(name, "PNG", fmt::format("{}, expected a valid file", reader.message.data()));
}

}  // namespace

int decode_png(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image) {
  Reader reader;
  reader.rest = bytes;
  // rows of 16-bit RGBA, and what a chunk of this file can hold
  reader.most_memory =
      (std::size_t{1} << 20) + 16 * static_cast<std::size_t>(limits.max_side) + 2 * bytes.size();
  reader.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &reader, leave, note_warning,
                                        &reader, take_memory, free_memory);
  if (reader.png != nullptr) reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) fail_memory(name, "PNG");
  if (!read_header(reader)) fail(reader, name, bytes.size());
  check_extents(reader.width, reader.height, name, limits);
  int passes = 1;
  if (!start_rows(reader, passes)) fail(reader, name, bytes.size());

  // An interlaced image needs all its rows at once, as the file has them; another one a single row.
  const png_uint_32 height = reader.height, stored = passes > 1 ? height : 1;
  static constexpr std::array<std::size_t, 7> kSamples{1, 0, 3, 1, 2, 0, 4};  // by colour type
  const std::size_t row_bytes = reader.width * kSamples[static_cast<std::size_t>(reader.color)] *
                                (reader.depth == 16 ? 2 : 1);
  std::vector<png_byte> rows(row_bytes * stored);
  image.resize(reader.width, height);
  for (int pass = 0; pass + 1 < passes; ++pass) {
    if (!read_rows(reader, rows.data(), row_bytes, height)) fail(reader, name, bytes.size());
  }
  for (png_uint_32 y = 0; y < height; y += stored) {
    if (!read_rows(reader, rows.data(), row_bytes, stored)) fail(reader, name, bytes.size());
    for (png_uint_32 i = 0; i < stored; ++i) {
      convert_row(reader, rows.data() + i * row_bytes, image.row(Index{y} + Index{i}));
    }
  }
  if (!read_end(reader)) ++reader.warnings;  // all pixels are there
  if (reader.warnings > 0) {
    log(LogLevel::warning,
        fmt::format("{}: PNG: {}, decoded all the same", name, reader.message.data()));
  }
  return orientation_of(reader);
}

}  // namespace tessera::image
