// SPDX-License-Identifier: Apache-2.0
// WebP, GIF, BMP and TIFF: what is cut, lies about its size, or is not read.
#include <gmock/gmock.h>

#include "models/image/decode.hpp"
#include "runtime/base/error.hpp"
#include "tests/models/image/vectors.hpp"

namespace tessera::image::test {
namespace {

using testing::HasSubstr;
using ByteVector = std::vector<std::uint8_t>;

std::vector<fs::path> files_of(std::initializer_list<const char*> extensions) {
  std::vector<fs::path> found;
  for (const fs::path& file : files_in(seed(""))) {
    for (const char* extension : extensions) {
      if (file.extension() == extension) found.push_back(file);
    }
  }
  return found;
}

void put(ByteVector& bytes, std::size_t at, std::uint32_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    bytes.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

std::uint32_t number(const ByteVector& bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8U | bytes.at(at + i);
  return value;
}

// A little-endian TIFF in which the entry of `tag` holds `value`.
ByteVector with_tag(const std::string& name, std::uint32_t tag, std::uint32_t value) {
  ByteVector bytes = bytes_of(seed(name));
  const std::size_t directory = number(bytes, 4, 4), entries = number(bytes, directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + 12 * i;
    if (number(bytes, at, 2) != tag) continue;
    put(bytes, at + 8, value, number(bytes, at + 2, 2) == 3 ? 2 : 4);
    return bytes;
  }
  ADD_FAILURE() << name << " has no tag " << tag;
  return bytes;
}

// A BMP of greys: the headers, a palette, then `data`.
ByteVector bmp(std::uint32_t width, std::uint32_t height, std::uint32_t bits,
               std::uint32_t compression, std::initializer_list<std::uint8_t> data,
               const ByteVector& greys = {0, 16, 32, 48, 64, 80, 96, 112}) {
  ByteVector bytes(54);
  bytes[0] = 'B', bytes[1] = 'M';
  put(bytes, 10, static_cast<std::uint32_t>(54 + 4 * greys.size()), 4);
  put(bytes, 14, 40, 4);
  put(bytes, 18, width, 4);
  put(bytes, 22, height, 4);
  put(bytes, 26, 1, 2);
  put(bytes, 28, bits, 2);
  put(bytes, 30, compression, 4);
  put(bytes, 46, static_cast<std::uint32_t>(greys.size()), 4);
  for (const std::uint8_t grey : greys) bytes.insert(bytes.end(), {grey, grey, grey, 0});
  bytes.insert(bytes.end(), data);
  return bytes;
}

ByteVector greys_of(const ByteVector& bytes) {
  RgbImage image;
  decode(bytes, "a.file", {}, image);
  ByteVector greys;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) greys.push_back(image.pixels[i]);
  return greys;
}

TEST(DecodeFormatsTest, EveryCutIsRefusedOrHasAllPixels) {
  testing::internal::CaptureStderr();
  for (const fs::path& file : files_of({".webp", ".gif", ".bmp", ".tif"})) {
    const ByteVector bytes = bytes_of(file);
    const RgbImage whole = decoded(file);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto cut = std::span(bytes).first(size);
      const std::string message = message_of(cut);
      if (message == "decoded") {
        RgbImage image;
        decode(cut, "cut", {}, image);
        expect_equal(image, whole, file.filename().string() + " at " + std::to_string(size));
      } else if (size >= 18 && file.extension() != ".tif") {
        EXPECT_THAT(message, HasSubstr("truncated")) << file << " at " << size;
      }
    }
    EXPECT_NE(message_of(std::span(bytes).first(bytes.size() / 4)), "decoded") << file;
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "the library prints nothing";
}

TEST(DecodeFormatsTest, RefusesExtentsBeforeItAllocates) {
  const DecodeLimits small{.max_side = 40};
  ByteVector gif = bytes_of(seed("global-4.gif"));
  EXPECT_THAT(message_of(gif, {.max_side = 18}), HasSubstr("got an image of 19 x 13 pixels"));
  put(gif, 6, 0xFFFF'FFFF, 4);  // the screen
  EXPECT_THAT(message_of(gif), HasSubstr("got an image of 65535 x 65535 pixels"));
  ByteVector webp = bytes_of(seed("animated-small-frame.webp"));
  put(webp, 24, 0xFFFFFF, 3);  // the canvas
  EXPECT_THAT(message_of(webp), HasSubstr("got an image of 16777216 x 23 pixels"));
  EXPECT_THAT(message_of(bytes_of(seed("lossy.webp")), {.max_side = 12}),
              HasSubstr("got an image of 19 x 13 pixels"));
  ByteVector bitmap = bytes_of(seed("rgb-24.bmp"));
  put(bitmap, 18, 0xFFFF'FFFF, 4);
  EXPECT_THAT(message_of(bitmap), HasSubstr("got an image of 4294967295 x 13 pixels"));
  bitmap = bytes_of(seed("rgb-24.bmp"));
  put(bitmap, 22, 0xFF00'0000, 4);  // top-down, 2^24 rows
  EXPECT_THAT(message_of(bitmap), HasSubstr("got an image of 19 x 16777216 pixels"));
  put(bitmap, 22, 60000, 4);
  EXPECT_THAT(message_of(bitmap), HasSubstr("truncated"));
  EXPECT_THAT(message_of(with_tag("rgb-16-little.tif", 256, 0xFFFF'FFFF)),
              HasSubstr("got an image of 4294967295 x 13 pixels"));
  EXPECT_THAT(message_of(with_tag("tiles.tif", 257, 41), small), HasSubstr("19 x 41 pixels"));
  EXPECT_THAT(message_of(with_tag("tiles.tif", 322, 1 << 20)), HasSubstr("got tiles of 1048576"));
  EXPECT_NE(message_of(with_tag("tiles.tif", 323, 0xFFFF'FFF0)), "decoded");
  EXPECT_NE(message_of(with_tag("rgb-16-little.tif", 278, 0)), "decoded");
}

TEST(DecodeFormatsTest, ZeroExtentsAreRefused) {
  ByteVector bitmap = bytes_of(seed("rgb-24.bmp"));
  put(bitmap, 18, 0, 4);
  EXPECT_THAT(message_of(bitmap), HasSubstr("0 x 13 pixels, expected at least 1 x 1"));
  EXPECT_NE(message_of(with_tag("rgb-16-little.tif", 257, 0)), "decoded");
  ByteVector gif = bytes_of(seed("no-table.gif"));
  put(gif, 13 + 5, 0, 2);  // the frame's width
  EXPECT_THAT(message_of(gif), HasSubstr("got a frame of 0 x 13 pixels"));
}

TEST(DecodeFormatsTest, GifWithoutAnImageIsRefusedAndStrayBytesArePassed) {
  ByteVector gif = bytes_of(seed("global-4.gif"));
  const std::size_t frame = 13 + (3 << 4);
  ByteVector stray = gif;
  stray.insert(stray.begin() + frame, {0, 0, 7});
  EXPECT_EQ(message_of(stray), "decoded");
  gif[frame] = ';';
  EXPECT_THAT(message_of(gif), HasSubstr("GIF: got no image before the end"));
}

TEST(DecodeFormatsTest, GifOfWrongCodesIsRefused) {
  ByteVector gif = bytes_of(seed("no-table.gif"));  // the frame is at 13, codes of 6 bits at 25
  const auto with_codes = [&gif](std::uint32_t codes) {
    ByteVector other = gif;
    put(other, 25, codes, 3);
    return other;
  };
  ASSERT_EQ(gif[23], 5);  // clear is 32, end 33
  EXPECT_THAT(message_of(with_codes(32 | 33 << 6)),
              HasSubstr("got an end before that of the image"));
  EXPECT_THAT(message_of(with_codes(32 | 34 << 6)), HasSubstr("a code that is not in the table"));
  EXPECT_THAT(message_of(with_codes(32 | 1 << 6 | 35 << 12)), HasSubstr("not in the table"));
  gif[24] = 6;  // the first block ends, and the next is taken for one of no bytes, perhaps
  EXPECT_NE(message_of(gif), "decoded");
}

TEST(DecodeFormatsTest, BmpRunLengthsMoveAndEndRowsAsWritten) {
  // what Pillow 9.4 takes amiss: 2 pixels, a move right by 1 and up by 1, 1 pixel
  EXPECT_EQ(greys_of(bmp(4, 2, 8, 1, {2, 1, 0, 2, 1, 1, 1, 2, 0, 1})),
            (ByteVector{0, 0, 0, 32, 16, 16, 0, 0}));
  // an empty row below a full one
  EXPECT_EQ(greys_of(bmp(2, 2, 8, 1, {0, 0, 2, 3, 0, 1})), (ByteVector{48, 48, 0, 0}));
  // three pixels of 4 bits as they are: two bytes
  EXPECT_EQ(greys_of(bmp(5, 1, 4, 2, {0, 3, 0x12, 0x30, 2, 0x45, 0, 1})),
            (ByteVector{16, 32, 48, 64, 80}));
  // a run beyond its row is dropped
  EXPECT_EQ(greys_of(bmp(2, 1, 8, 1, {9, 1, 0, 1})), (ByteVector{16, 16}));
}

TEST(DecodeFormatsTest, BmpRunLengthsThatEndEarlyOrLeaveTheImageAreRefused) {
  EXPECT_THAT(message_of(bmp(2, 2, 8, 1, {2, 1, 0, 1})), HasSubstr("got an end in row 1 of 2"));
  EXPECT_THAT(message_of(bmp(2, 2, 8, 1, {0, 2, 3, 0})), HasSubstr("got a move to (3, 0)"));
  EXPECT_THAT(message_of(bmp(2, 2, 8, 1, {0, 2, 0, 3})), HasSubstr("got a move to (0, 3)"));
  EXPECT_THAT(message_of(bmp(2, 2, 8, 1, {2, 1})), HasSubstr("truncated"));
}

TEST(DecodeFormatsTest, BmpOfBlackAndWhiteIsReadAtEveryDepth) {
  EXPECT_EQ(greys_of(bmp(3, 1, 8, 0, {1, 0, 1, 0}, {0, 255})), (ByteVector{255, 0, 255}));
  EXPECT_EQ(greys_of(bmp(3, 1, 4, 0, {0x10, 0x10, 0, 0}, {0, 255})), (ByteVector{255, 0, 255}));
  EXPECT_EQ(greys_of(bmp(3, 1, 1, 0, {0xA0, 0, 0, 0}, {0, 255})), (ByteVector{255, 0, 255}));
}

TEST(DecodeFormatsTest, BmpThatPillowDoesNotReadIsRefusedByName) {
  ByteVector bitmap = bytes_of(seed("rgb-24.bmp"));
  put(bitmap, 14, 56, 4);
  EXPECT_THAT(message_of(bitmap), HasSubstr("got a header of 56 bytes"));
  EXPECT_THAT(message_of(bmp(1, 1, 2, 0, {0, 0, 0, 0})), HasSubstr("got 2 bits per pixel"));
  EXPECT_THAT(message_of(bmp(1, 1, 24, 4, {0, 0, 0, 0})), HasSubstr("got compression 4"));
  EXPECT_THAT(message_of(bmp(1, 1, 8, 2, {1, 1, 0, 1})), HasSubstr("compression 2 for 8 bits"));
  EXPECT_THAT(message_of(bmp(1, 1, 16, 3, {0, 0, 0, 0}, ByteVector(9))),
              HasSubstr("got bit masks 0x0, 0x0, 0x0, 0x0 for 16 bits"));
  EXPECT_THAT(message_of(bmp(1, 1, 8, 0, {0, 0, 0, 0}, ByteVector(300))),
              HasSubstr("got a palette of 300 colours"));
}

TEST(DecodeFormatsTest, TiffThatPillowDoesNotReadIsRefusedByName) {
  EXPECT_THAT(message_of(with_tag("planar.tif", 262, 8)), HasSubstr("photometric 8 (CIELab)"));
  EXPECT_THAT(message_of(with_tag("planar.tif", 262, 6)),
              HasSubstr("(YCbCr), 3 samples of 8 bits in format 1, 0 of them extra, uncompressed"));
  EXPECT_THAT(message_of(with_tag("planar.tif", 262, 32803)), HasSubstr("photometric 32803"));
  EXPECT_THAT(message_of(with_tag("planar.tif", 259, 6)), HasSubstr("got compression 6"));
  EXPECT_THAT(message_of(with_tag("planar.tif", 259, 34712)), HasSubstr("got compression 34712"));
  EXPECT_THAT(message_of(with_tag("float-little.tif", 339, 1)), testing::Eq("decoded"));
  EXPECT_THAT(message_of(with_tag("float-little.tif", 339, 5)), HasSubstr("in format 5"));
  EXPECT_THAT(message_of(with_tag("grey-12.tif", 262, 0)), HasSubstr("1 samples of 12 bits"));
}

TEST(DecodeFormatsTest, TiffTurnsOnceAsItsOrientationSays) {
  const RgbImage turned = decoded(seed("orientation-6.tif"));
  EXPECT_EQ(turned.width, 13);
  EXPECT_EQ(turned.height, 19);
}

}  // namespace
}  // namespace tessera::image::test
