// SPDX-License-Identifier: Apache-2.0
//
// The first page of a TIFF through libtiff, which finds strips and tiles and decompresses them; what
// a sample means is decided here, as Pillow's OPEN_INFO and its conversions to RGB do:
//
//   grey      1, 2, 4 and 8 bits, spread over 0 … 255; 12, 16 and 32 bits, integers and floats,
//             clipped to 0 … 255
//   palette   1, 2, 4 and 8 bits; the high bytes of the colours
//   RGB, CMYK 8 bits, or the high bytes of 16; alpha is dropped, premultiplied alpha undone
//   YCbCr     as libjpeg or libtiff convert it
//
// Pillow 9.4 turns a page by its orientation when it loads it and once more in exif_transpose();
// here, as in Pillow from 10.1 on, it comes out upright. Nothing is printed, and libtiff's handlers
// of errors, which all its users in a process share, are left alone: each handle has its own.
#include <fmt/format.h>
#include <tiffio.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "models/image/codecs.hpp"
#include "models/image/orientation.hpp"
#include "models/image/tiff_samples.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"

namespace tessera::image {
namespace {

constexpr std::string_view kFormat = "TIFF";
constexpr std::int64_t kLeastMemory = std::int64_t{64} << 20;

struct Source {
  Bytes bytes;
  std::uint64_t at = 0;
  bool reads_pixels = false;
  std::array<char, 200> error{}, warning{};  // the first of each
};

int keep(std::array<char, 200>& text, const char* format, std::va_list arguments) {
  if (text[0] == '\0') std::vsnprintf(text.data(), text.size(), format, arguments);
  return 1;  // handled: the process-wide handlers are not called
}
int keep_error(TIFF*, void* source, const char*, const char* format, std::va_list arguments) {
  return keep(static_cast<Source*>(source)->error, format, arguments);
}
// What a directory has too much of changes no pixel.
int keep_warning(TIFF*, void* user, const char*, const char* format, std::va_list arguments) {
  Source& source = *static_cast<Source*>(user);
  return source.reads_pixels ? keep(source.warning, format, arguments) : 1;
}

tmsize_t read_bytes(thandle_t handle, void* to, tmsize_t count) {
  Source& source = *static_cast<Source*>(handle);
  if (count < 0 || source.at >= source.bytes.size()) return 0;
  const auto got = std::min(static_cast<std::size_t>(count),
                            source.bytes.size() - static_cast<std::size_t>(source.at));
  std::memcpy(to, source.bytes.data() + source.at, got);
  source.at += got;
  return static_cast<tmsize_t>(got);
}
tmsize_t write_nothing(thandle_t, void*, tmsize_t) {
  return 0;
}
toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = *static_cast<Source*>(handle);
  source.at = offset + (whence == SEEK_CUR   ? source.at
                        : whence == SEEK_END ? source.bytes.size()
                                             : 0);
  return source.at;
}
int close_nothing(thandle_t) {
  return 0;
}
toff_t size_of(thandle_t handle) {
  return static_cast<Source*>(handle)->bytes.size();
}
// libtiff takes a writable address and only reads.
int map(thandle_t handle, void** base, toff_t* size) {
  const Bytes bytes = static_cast<Source*>(handle)->bytes;
  *base = const_cast<std::uint8_t*>(bytes.data());
  *size = bytes.size();
  return 1;
}
void unmap(thandle_t, void*, toff_t) {}

struct Close {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
  void operator()(TIFFOpenOptions* options) const { TIFFOpenOptionsFree(options); }
};

struct Reader {
  const std::string& name;
  Source source;
  std::unique_ptr<TIFF, Close> tiff;
  Index width = 0, height = 0;
  SampleLayout layout;
  bool is_planar = false;

  [[noreturn]] void fail() const {
    const char* text = source.error.data();
    refuse(fmt::format("{}, expected a valid file", *text != '\0' ? text : "got no image"));
  }
  [[noreturn]] void refuse(const std::string& text) const { fail_corrupt(name, kFormat, text); }
  template <class Value>
  Value field(std::uint32_t tag, Value otherwise) const {
    Value value{};
    return TIFFGetField(tiff.get(), tag, &value) == 1 ? value : otherwise;
  }
};

void open(Reader& reader) {
  const std::unique_ptr<TIFFOpenOptions, Close> options(TIFFOpenOptionsAlloc());
  if (options == nullptr) fail_memory(reader.name, kFormat);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), keep_error, &reader.source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), keep_warning, &reader.source);
  // Strips and tiles have their memory here; what libtiff takes is rows, and parts of the file.
  TIFFOpenOptionsSetMaxSingleMemAlloc(
      options.get(), kLeastMemory + 8 * static_cast<std::int64_t>(reader.source.bytes.size()));
  // C: strips as they are in the file
  reader.tiff.reset(TIFFClientOpenExt("", "rC", &reader.source, read_bytes, write_nothing, seek,
                                      close_nothing, size_of, map, unmap, options.get()));
  if (reader.tiff == nullptr) reader.fail();
}

bool is_known(std::uint16_t compression) {
  static constexpr std::uint16_t kKnown[] = {
      COMPRESSION_NONE,          COMPRESSION_CCITTRLE,  COMPRESSION_CCITTFAX3,
      COMPRESSION_CCITTFAX4,     COMPRESSION_LZW,       COMPRESSION_JPEG,
      COMPRESSION_ADOBE_DEFLATE, COMPRESSION_CCITTRLEW, COMPRESSION_PACKBITS,
      COMPRESSION_THUNDERSCAN,   COMPRESSION_DEFLATE,   COMPRESSION_LZMA,
      COMPRESSION_ZSTD,          COMPRESSION_WEBP};
  return std::find(std::begin(kKnown), std::end(kKnown), compression) != std::end(kKnown);
}

// Fields as they are where the page has them, as they are by default elsewhere.
void read_directory(Reader& reader, const DecodeLimits& limits) {
  TIFF* const tiff = reader.tiff.get();
  reader.width = reader.field<std::uint32_t>(TIFFTAG_IMAGEWIDTH, 0);
  reader.height = reader.field<std::uint32_t>(TIFFTAG_IMAGELENGTH, 0);
  check_extents(reader.width, reader.height, reader.name, limits);
  const auto compression = reader.field<std::uint16_t>(TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  if (!is_known(compression) || TIFFIsCODECConfigured(compression) == 0) {
    reader.refuse(
        fmt::format("got compression {}, expected none, LZW, Deflate, PackBits, JPEG, "
                    "CCITT, or another that the library reads",
                    compression));
  }
  SampleFields fields;
  fields.photometric = reader.field<std::uint16_t>(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
  // libtiff takes indices without a colour map for greys.
  const auto stated = tiff_number(reader.source.bytes, TIFFTAG_PHOTOMETRIC);
  if (stated && static_cast<int>(*stated) != fields.photometric) {
    reader.refuse(
        fmt::format("got photometric {} with fields that contradict it, expected those "
                    "that it needs",
                    *stated));
  }
  fields.bits = reader.field<std::uint16_t>(TIFFTAG_BITSPERSAMPLE, 1);
  fields.samples = reader.field<std::uint16_t>(TIFFTAG_SAMPLESPERPIXEL, 1);
  fields.format = reader.field<std::uint16_t>(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  fields.is_big_endian = TIFFIsBigEndian(tiff) != 0;
  fields.is_compressed = compression != COMPRESSION_NONE;
  std::uint16_t count = 0, *kinds = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds) == 1) fields.extra = {kinds, count};
  reader.is_planar = fields.samples > 1 &&
                     reader.field<std::uint16_t>(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) ==
                         PLANARCONFIG_SEPARATE;
  const auto layout = sample_layout(fields);
  if (!layout) reader.refuse("got " + describe(fields) + ", expected one that Pillow reads");
  reader.layout = *layout;
  if (reader.layout.kind == SampleKind::palette) {
    std::uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
    if (TIFFGetField(tiff, TIFFTAG_COLORMAP, &red, &green, &blue) != 1) {
      reader.refuse("got no colour map, expected one for indices");
    }
    for (std::size_t i = 0; i < std::size_t{1} << fields.bits; ++i) {
      const std::uint16_t colors[] = {red[i], green[i], blue[i]};
      for (std::size_t c = 0; c < 3; ++c) {
        reader.layout.palette[i][c] = static_cast<std::uint8_t>(colors[c] >> 8);
      }
    }
  }
  if (reader.layout.kind == SampleKind::ycbcr && compression == COMPRESSION_JPEG &&
      !reader.is_planar) {
    TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    reader.layout.kind = SampleKind::rgb;
  }
}

// A strip or a tile: `width` x `height` pixels of `row_bytes` each row, of one plane or of all.
struct Unit {
  Index width, height;
  std::size_t row_bytes, bytes;
};

Unit unit_of(const Reader& reader) {
  TIFF* const tiff = reader.tiff.get();
  const bool is_tiled = TIFFIsTiled(tiff) != 0;
  Unit unit{};
  if (is_tiled) {
    unit.width = reader.field<std::uint32_t>(TIFFTAG_TILEWIDTH, 0);
    unit.height = reader.field<std::uint32_t>(TIFFTAG_TILELENGTH, 0);
    // A tile may be larger than its page, but not by any amount: all of it is memory.
    const Index most = std::max<Index>(Index{1} << 20, 4 * reader.width * reader.height);
    if (unit.width < 1 || unit.height < 1 || unit.width > most / unit.height) {
      reader.refuse(
          fmt::format("got tiles of {} x {} pixels in an image of {} x {}, expected at "
                      "most {} pixels in one",
                      unit.width, unit.height, reader.width, reader.height, most));
    }
  } else {
    unit.width = reader.width;
    unit.height = std::min<Index>(reader.field<std::uint32_t>(TIFFTAG_ROWSPERSTRIP, 0xFFFFFFFFU),
                                  reader.height);
  }
  unit.row_bytes =
      static_cast<std::size_t>(is_tiled ? TIFFTileRowSize64(tiff) : TIFFScanlineSize64(tiff));
  unit.bytes = static_cast<std::size_t>(is_tiled ? TIFFTileSize64(tiff) : TIFFStripSize64(tiff));
  const auto samples = static_cast<Index>(reader.is_planar ? 1 : reader.layout.samples);
  const auto row_bits = static_cast<std::size_t>(unit.width * samples * reader.layout.bits);
  if (unit.height < 1 || unit.row_bytes != (row_bits + 7) / 8 ||
      unit.bytes != unit.row_bytes * static_cast<std::size_t>(unit.height)) {
    reader.refuse(fmt::format("got {} bytes for {} rows of {} bits, expected whole rows",
                              unit.bytes, unit.height, row_bits));
  }
  return unit;
}

// One unit from (x, y) on, of plane `plane`, into `to`; `rows` of it are within the image.
void read_unit(const Reader& reader, const Unit& unit, Index x, Index y, int plane, Index rows,
               std::uint8_t* to) {
  TIFF* const tiff = reader.tiff.get();
  const auto sample = static_cast<std::uint16_t>(plane);
  const auto row = static_cast<std::uint32_t>(y);
  const auto size = static_cast<tmsize_t>(unit.bytes);
  std::memset(to, 0, unit.bytes);
  const tmsize_t got =
      TIFFIsTiled(tiff) != 0
          ? TIFFReadEncodedTile(
                tiff, TIFFComputeTile(tiff, static_cast<std::uint32_t>(x), row, 0, sample), to,
                size)
          : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, row, sample), to, size);
  if (got < 0) reader.fail();
  if (static_cast<std::size_t>(got) < static_cast<std::size_t>(rows) * unit.row_bytes) {
    reader.refuse(
        fmt::format("got {} bytes of {} rows, expected {} bytes each", got, rows, unit.row_bytes));
  }
}

void read_units(Reader& reader, RgbImage& image) {
  const Unit unit = unit_of(reader);
  const int bits = reader.layout.bits;
  const Index step = bits / 8, planes = std::min<Index>(reader.layout.samples, 4);
  SampleLayout joined = reader.layout;  // planes laid side by side: their high bytes
  joined.bits = 8, joined.samples = static_cast<int>(planes);
  std::vector<std::uint8_t> data(unit.bytes), pixels;
  if (reader.is_planar) {
    pixels.resize(static_cast<std::size_t>(unit.width * unit.height * planes));
  }
  image.resize(reader.width, reader.height);
  for (Index y = 0; y < reader.height; y += unit.height) {
    const Index rows = std::min(unit.height, reader.height - y);
    for (Index x = 0; x < reader.width; x += unit.width) {
      const Index columns = std::min(unit.width, reader.width - x);
      for (Index plane = 0; plane < (reader.is_planar ? planes : 1); ++plane) {
        read_unit(reader, unit, x, y, static_cast<int>(plane), rows, data.data());
        for (Index i = 0; reader.is_planar && i < unit.width * rows; ++i) {
          pixels[static_cast<std::size_t>(i * planes + plane)] =
              data[static_cast<std::size_t>(i * step + step - 1)];
        }
      }
      for (Index row = 0; row < rows; ++row) {
        std::uint8_t* const out = image.row(y + row) + x * kChannels;
        if (reader.is_planar) {
          convert_samples(joined, pixels.data() + row * unit.width * planes, columns, out);
        } else {
          convert_samples(reader.layout,
                          data.data() + static_cast<std::size_t>(row) * unit.row_bytes, columns,
                          out);
        }
      }
    }
  }
}

struct Rgba {
  TIFFRGBAImage image{};
  bool is_begun = false;
  ~Rgba() {
    if (is_begun) TIFFRGBAImageEnd(&image);
  }
};

// Subsampled YCbCr, by libtiff's own conversion, as in Pillow.
void read_rgba(Reader& reader, RgbImage& image) {
  TIFF* const tiff = reader.tiff.get();
  if (TIFFIsTiled(tiff) != 0) unit_of(reader);  // refuses large tiles
  char message[1024] = "";
  Rgba rgba;
  rgba.is_begun =
      TIFFRGBAImageOK(tiff, message) != 0 && TIFFRGBAImageBegin(&rgba.image, tiff, 1, message) != 0;
  if (!rgba.is_begun) reader.refuse(fmt::format("{}, expected a valid file", message));
  rgba.image.orientation = rgba.image.req_orientation = ORIENTATION_TOPLEFT;
  const auto rows = reader.field<std::uint32_t>(
      TIFFIsTiled(tiff) != 0 ? TIFFTAG_TILELENGTH : TIFFTAG_ROWSPERSTRIP, 0xFFFFFFFFU);
  const Index block = std::min<Index>(std::max<Index>(rows, 1), reader.height);
  std::vector<std::uint32_t> raster(static_cast<std::size_t>(reader.width * block));
  image.resize(reader.width, reader.height);
  for (Index y = 0; y < reader.height; y += block) {
    const Index count = std::min(block, reader.height - y);
    rgba.image.row_offset = static_cast<int>(y);
    if (TIFFRGBAImageGet(&rgba.image, raster.data(), static_cast<std::uint32_t>(reader.width),
                         static_cast<std::uint32_t>(count)) == 0) {
      reader.fail();
    }
    std::uint8_t* out = image.row(y);
    for (Index i = 0; i < count * reader.width; ++i, out += kChannels) {
      const std::uint32_t abgr = raster[static_cast<std::size_t>(i)];
      out[0] = static_cast<std::uint8_t>(TIFFGetR(abgr));
      out[1] = static_cast<std::uint8_t>(TIFFGetG(abgr));
      out[2] = static_cast<std::uint8_t>(TIFFGetB(abgr));
    }
  }
}

}  // namespace

int decode_tiff(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image) {
  Reader reader{name, {bytes}, nullptr, 0, 0, {}, false};
  open(reader);
  read_directory(reader, limits);
  reader.source.reads_pixels = true;
  if (reader.layout.kind == SampleKind::ycbcr) {
    read_rgba(reader, image);
  } else {
    read_units(reader, image);
  }
  if (reader.source.warning[0] != '\0') {
    log(LogLevel::warning, fmt::format("{}: TIFF: {}, decoded as far as possible", name,
                                       reader.source.warning.data()));
  }
  return reader.field<std::uint16_t>(TIFFTAG_ORIENTATION, 1);
}

}  // namespace tessera::image
