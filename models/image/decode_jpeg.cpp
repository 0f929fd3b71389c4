// SPDX-License-Identifier: Apache-2.0
//
// JPEG through libjpeg-turbo. An error inside it leaves by longjmp() into the function that called
// it; these functions hold nothing that has a destructor.
#include <csetjmp>
#include <cstdio>
// jpeglib.h needs <cstdio> before it
#include <fmt/format.h>
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "models/image/codecs.hpp"
#include "models/image/orientation.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"

namespace tessera::image {
namespace {

// Scans of one image. A file of a few hundred KB can ask for a full pass over all coefficients
// thousands of times; encoders write about ten.
constexpr int kMostScans = 500;
constexpr JDIMENSION kRowsAtOnce = 8;

struct Reader {
  jpeg_decompress_struct info;  // first: the library's callbacks get its address
  jpeg_error_mgr errors;
  jpeg_source_mgr source;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  std::array<char, JMSG_LENGTH_MAX> message;  // what ended the reading, or the first warning
  bool is_truncated, is_out_of_memory;
};

Reader& reader_of(j_common_ptr info) {
  return *reinterpret_cast<Reader*>(info);
}

[[noreturn]] void leave(j_common_ptr info) {
  Reader& reader = reader_of(info);
  reader.errors.format_message(info, reader.message.data());
  reader.is_out_of_memory = reader.errors.msg_code == JERR_OUT_OF_MEMORY;
  std::longjmp(reader.escape, 1);
}

void note_warning(j_common_ptr info, int level) {
  Reader& reader = reader_of(info);
  if (level >= 0) return;  // a trace
  if (reader.errors.num_warnings++ == 0) {
    reader.errors.format_message(info, reader.message.data());
  }
}

void print_nothing(j_common_ptr /*info*/) {}

void start_source(j_decompress_ptr /*info*/) {}

boolean end_of_data(j_decompress_ptr info) {
  Reader& reader = reader_of(reinterpret_cast<j_common_ptr>(info));
  reader.is_truncated = true;
  std::longjmp(reader.escape, 1);
}

void skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  jpeg_source_mgr& source = *info->src;
  if (static_cast<std::size_t>(count) > source.bytes_in_buffer) end_of_data(info);
  source.next_input_byte += count;
  source.bytes_in_buffer -= static_cast<std::size_t>(count);
}

void count_scans(j_common_ptr info) {
  if (!info->is_decompressor) return;
  Reader& reader = reader_of(info);
  if (reader.info.input_scan_number <= kMostScans) return;
  std::snprintf(reader.message.data(), reader.message.size(), "more than %d scans", kMostScans);
  std::longjmp(reader.escape, 1);
}

bool read_header(Reader& reader, Bytes bytes) {
  reader.info.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = leave;
  reader.errors.emit_message = note_warning;
  reader.errors.output_message = print_nothing;
  if (setjmp(reader.escape) != 0) return false;
  jpeg_create_decompress(&reader.info);
  reader.progress.progress_monitor = count_scans;
  reader.info.progress = &reader.progress;
  reader.source.init_source = start_source;
  reader.source.fill_input_buffer = end_of_data;
  reader.source.skip_input_data = skip;
  reader.source.resync_to_restart = jpeg_resync_to_restart;
  reader.source.term_source = start_source;
  reader.source.next_input_byte = bytes.data();
  reader.source.bytes_in_buffer = bytes.size();
  reader.info.src = &reader.source;
  jpeg_save_markers(&reader.info, JPEG_APP0 + 1, 0xFFFF);  // EXIF
  jpeg_read_header(&reader.info, TRUE);
  return true;
}

// Rows into `pixels` (height, width, C): C = 4 for CMYK, else 3.
bool read_pixels(Reader& reader, std::uint8_t* pixels, std::size_t row_bytes) {
  if (setjmp(reader.escape) != 0) return false;
  reader.info.out_color_space = reader.info.num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&reader.info);
  while (reader.info.output_scanline < reader.info.output_height) {
    JSAMPROW rows[kRowsAtOnce];
    const JDIMENSION first = reader.info.output_scanline;
    const JDIMENSION count = std::min(kRowsAtOnce, reader.info.output_height - first);
    for (JDIMENSION i = 0; i < count; ++i) rows[i] = pixels + (first + i) * row_bytes;
    jpeg_read_scanlines(&reader.info, rows, count);
  }
  jpeg_finish_decompress(&reader.info);
  return true;
}

// CMYK as Adobe stores it, inverted, to RGB.
void convert_cmyk(const std::uint8_t* cmyk, std::uint8_t* rgb, Index pixels) {
  for (Index i = 0; i < pixels; ++i, cmyk += 4, rgb += kChannels) {
    for (Index c = 0; c < kChannels; ++c) rgb[c] = cmyk_to_rgb(255 - cmyk[c], cmyk[3]);
  }
}

int orientation_of(const Reader& reader) {
  constexpr std::array<std::uint8_t, 5> kExif{'E', 'x', 'i', 'f', 0};
  for (const jpeg_marker_struct* marker = reader.info.marker_list; marker != nullptr;
       marker = marker->next) {
    const Bytes data(marker->data, marker->data_length);
    if (data.size() < kExif.size() || !std::equal(kExif.begin(), kExif.end(), data.begin())) {
      continue;
    }
    return exif_orientation(data).value_or(1);  // the first block alone, as in the reference
  }
  return 1;
}

[[noreturn]] void fail(const Reader& reader, const std::string& name, std::size_t size) {
  if (reader.is_out_of_memory) fail_memory(name, "JPEG");
  if (reader.is_truncated) fail_truncated(name, "JPEG", size);
  fail_corrupt(name, "JPEG", fmt::format("{}, expected a valid file", reader.message.data()));
}

}  // namespace

int decode_jpeg(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image) {
  Reader reader;
  std::memset(&reader, 0, sizeof reader);
  struct Release {
    jpeg_decompress_struct& info;
    ~Release() { jpeg_destroy_decompress(&info); }
  } const release{reader.info};

  if (!read_header(reader, bytes)) fail(reader, name, bytes.size());
  const auto width = static_cast<Index>(reader.info.image_width),
             height = static_cast<Index>(reader.info.image_height);
  check_extents(width, height, name, limits);
  const int components = reader.info.num_components;
  if (components != 1 && components != 3 && components != 4) {
    fail_corrupt(name, "JPEG", fmt::format("got {} components, expected 1, 3 or 4", components));
  }
  const int orientation = orientation_of(reader);  // the end of the decoding frees the markers
  image.resize(width, height);
  std::vector<std::uint8_t> cmyk;  // (height, width, 4)
  if (components == 4) cmyk.resize(static_cast<std::size_t>(width * height * 4));
  std::uint8_t* const pixels = components == 4 ? cmyk.data() : image.pixels.data();
  if (!read_pixels(reader, pixels, static_cast<std::size_t>(width * (components == 4 ? 4 : 3)))) {
    fail(reader, name, bytes.size());
  }
  if (components == 4) convert_cmyk(cmyk.data(), image.pixels.data(), width * height);
  if (reader.errors.num_warnings > 0) {
    log(LogLevel::warning, fmt::format("{}: JPEG: {} ({} such), decoded as far as possible", name,
                                       reader.message.data(), reader.errors.num_warnings));
  }
  return orientation;
}

}  // namespace tessera::image
