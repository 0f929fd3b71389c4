// SPDX-License-Identifier: Apache-2.0
#include "models/image/decode.hpp"

#include <sys/resource.h>

#include "models/image/orientation.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "tests/models/image/vectors.hpp"

namespace tessera::image::test {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;

TEST(DecodeTest, GivesPillowsPixelsForEveryKindOfFile) {
  int count = 0;
  for (const fs::path& file : files_in(vectors() / "decode")) {
    if (file.extension() == ".ppm") continue;
    expect_equal(decoded(file), ppm(file.string() + ".ppm"), file.filename().string());
    ++count;
  }
  EXPECT_GE(count, 220);
}

TEST(DecodeTest, TakesTheTypeFromTheContent) {
  const auto bytes = bytes_of(seed("grey-8.png"));
  RgbImage image;
  decode(bytes, "photo.jpg", {}, image);
  expect_equal(image, ppm(seed("grey-8.png.ppm")), "a PNG named .jpg");
}

TEST(DecodeTest, SaysWhatAFileIsInstead) {
  EXPECT_THAT(message_of({}),
              HasSubstr("got an empty file, expected a JPEG, PNG, WebP, GIF, BMP or TIFF"));
  EXPECT_THAT(message_of(bytes_of_text("....ftypavif")), HasSubstr("got an AVIF image"));
  EXPECT_THAT(message_of(bytes_of_text("....ftypheic")), HasSubstr("got a HEIF image"));
  EXPECT_THAT(message_of(bytes_of_text("BMW is a car")), HasSubstr("begins with 42 4d 57 20"));
  EXPECT_THAT(message_of(bytes_of_text("%PDF-1.7")), HasSubstr("got a PDF document"));
  EXPECT_THAT(message_of(bytes_of_text("hello")), HasSubstr("begins with 68 65 6c 6c"));
  EXPECT_THAT(message_of(bytes_of_text("\xFF")), HasSubstr("begins with ff"));
  EXPECT_THAT(message_of(bytes_of(seed("grey-8.png.ppm"))), HasSubstr("got a PPM image"));
}

TEST(DecodeTest, EveryCutOfEveryKindIsTruncated) {
  for (const fs::path& file : files_in(seed(""))) {
    if (file.extension() != ".png" && file.extension() != ".jpg") continue;
    const auto bytes = bytes_of(file);
    const bool is_png = file.extension() == ".png";
    const RgbImage whole = decoded(file);
    for (std::size_t size = 8; size < bytes.size(); size += size < 64 ? 1 : 13) {
      const auto cut = std::span(bytes).first(size);
      const std::string message = message_of(cut);
      if (message == "decoded") {
        // All pixels are there: only what follows them is missing (a chunk, a second picture).
        RgbImage image;
        decode(cut, "cut", {}, image);
        EXPECT_EQ(image.width * image.height, whole.width * whole.height) << file;
        EXPECT_TRUE(!is_png || size + 100 > bytes.size() || file.stem() == "animated") << file;
      } else {
        EXPECT_THAT(message, HasSubstr("truncated")) << file << " at " << size;
      }
    }
    EXPECT_NE(message_of(std::span(bytes).first(bytes.size() / 4)), "decoded") << file;
  }
}

// Bytes changed at random must give an image or an Error: run under ASan and UBSan.
TEST(DecodeTest, SurvivesRandomBytes) {
  std::uint32_t state = 2026;
  const auto random = [&state] { return state = state * 1664525U + 1013904223U, state >> 8; };
  const char* rounds = std::getenv("TESSERA_IMAGE_MUTATIONS");
  const int count = rounds != nullptr ? std::atoi(rounds) : 60;
  RgbImage image;
  int failed = 0, done = 0;
  for (const fs::path& file : files_in(seed(""))) {
    if (file.extension() == ".ppm") continue;
    const auto bytes = bytes_of(file);
    for (int i = 0; i < count; ++i) {
      std::vector<std::uint8_t> mutated = bytes;
      const std::uint32_t changes = 1 + random() % 4;
      for (std::uint32_t c = 0; c < changes; ++c) {
        const std::size_t at = random() % mutated.size();
        switch (random() % 4) {
          case 0:
            mutated[at] = static_cast<std::uint8_t>(random());
            break;
          case 1:
            mutated[at] ^= static_cast<std::uint8_t>(1U << (random() % 8));
            break;
          case 2:
            mutated.erase(mutated.begin() + static_cast<std::ptrdiff_t>(at));
            break;
          default:
            mutated.insert(mutated.begin() + static_cast<std::ptrdiff_t>(at), 0xFF);
        }
      }
      ++done;
      try {
        decode(mutated, "mutated", {.max_side = 4096, .max_pixels = 1 << 20}, image);
        EXPECT_EQ(image.pixels.size(),
                  static_cast<std::size_t>(image.width * image.height * kChannels));
      } catch (const Error& e) {
        ++failed;
        EXPECT_NE(e.code(), ErrorCode::internal) << e.what();
      }
    }
  }
  EXPECT_GT(failed, done / 20);
  EXPECT_LT(failed, done);
}

TEST(DecodeTest, RefusesExtentsBeforeItAllocates) {
  auto png = bytes_of(seed("rgb-8.png"));
  EXPECT_THAT(message_of(png, {.max_side = 18}), HasSubstr("got an image of 19 x 13 pixels"));
  EXPECT_THAT(message_of(png, {.max_side = 100, .max_pixels = 246}),
              HasSubstr("at most 100 on a side and 246 in all"));
  EXPECT_EQ(message_of(png, {.max_side = 19, .max_pixels = 247}), "decoded");
  // a text of 1.8 GB by its length
  auto text = bytes_of(seed("raw-profile-5.png"));
  const std::string_view kind = "tEXt";
  const auto chunk = std::search(text.begin(), text.end(), kind.begin(), kind.end());
  ASSERT_NE(chunk, text.end());
  chunk[-4] = 0x6B;
  EXPECT_THAT(message_of(text), HasSubstr("truncated"));  // soon
  const auto jpeg = bytes_of(seed("progressive.jpg"));
  EXPECT_THAT(message_of(jpeg, {.max_side = 12}), HasSubstr("got an image of 19 x 13 pixels"));
  // 60000 x 60000 in a JPEG of a few hundred bytes: 3.6 gigapixels
  auto large = jpeg;
  const std::uint8_t sof2[] = {0xFF, 0xC2};
  const auto at = std::search(large.begin(), large.end(), std::begin(sof2), std::end(sof2));
  ASSERT_NE(at, large.end());
  for (int i = 5; i < 9; i += 2) {
    at[i] = 60000 >> 8;
    at[i + 1] = 60000 & 255;
  }
  EXPECT_THAT(message_of(large), HasSubstr("60000 x 60000 pixels, expected at most 65500"));
  for (int i = 5; i < 9; ++i) at[i] = 0;
  EXPECT_THAT(message_of(large), HasSubstr("JPEG: "));  // zero-sized
}

// 49 bytes: the header of an image, and the beginning of a chunk of 2 GiB by its length.
TEST(DecodeTest, APngOfAHugeChunkTakesLittleMemory) {
  constexpr std::size_t kHeader = 33;
  const auto most_kib = [] {  // that this process has had
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const auto begin = bytes_of(seed("rgb-8.png"));
  for (const std::string kind : {"tEXt", "zTXt", "iTXt", "eXIf", "iCCP", "sPLT", "hIST", "tRNS",
                                 "abCd", "prVt", "PLTE", "IDAT"}) {
    auto png = std::vector(begin.begin(), begin.begin() + kHeader);
    const std::string chunk = "\x7F\xFF\xFF\xFF" + kind + "key\0text"s;
    for (const char byte : chunk.substr(0, 16)) png.push_back(static_cast<std::uint8_t>(byte));
    ASSERT_EQ(png.size(), 49U);
    const long before = most_kib();
    EXPECT_THAT(message_of(png), HasSubstr("PNG")) << kind;
    EXPECT_LT(most_kib() - before, 64 * 1024) << kind;
  }
}

TEST(DecodeTest, RefusesAJpegOfThousandsOfScans) {
  // The scan of a progressive file again and again: each is a pass over all coefficients.
  const auto jpeg = bytes_of(seed("grey-progressive.jpg"));
  const std::uint8_t sos[] = {0xFF, 0xDA};
  const auto last = std::find_end(jpeg.begin(), jpeg.end(), std::begin(sos), std::end(sos));
  std::vector<std::uint8_t> many(jpeg.begin(), jpeg.end() - 2);
  for (int i = 0; i < 600; ++i) many.insert(many.end(), last, jpeg.end() - 2);
  many.insert(many.end(), jpeg.end() - 2, jpeg.end());
  EXPECT_THAT(message_of(many), HasSubstr("more than 500 scans"));
}

TEST(DecodeTest, MendedFilesAreAWarning) {
  std::vector<std::string> warnings;
  set_log_callback([&](LogLevel, std::string_view text) { warnings.emplace_back(text); });
  auto jpeg = bytes_of(seed("baseline-444.jpg"));
  jpeg.insert(jpeg.end() - 2, {0x12, 0x34, 0x56});  // extraneous bytes before EOI
  EXPECT_EQ(message_of(jpeg), "decoded");
  set_log_callback({});
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], testing::StartsWith("a.file: JPEG: "));
}

TEST(OrientationTest, AnythingThatIsNoTiffHasNone) {
  const std::vector<std::uint8_t> little{'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3,
                                         0,   1,   0,  0, 0, 6, 0, 0, 0, 0, 0,    0, 0};
  EXPECT_EQ(exif_orientation(little), 6);
  for (std::size_t size = 0; size < little.size() - 6; ++size) {
    EXPECT_EQ(exif_orientation(std::span(little).first(size)), std::nullopt) << size;
  }
  auto other = little;
  other[4] = 0xFF, other[5] = 0xFF, other[6] = 0xFF, other[7] = 0xFF;  // directory beyond the end
  EXPECT_EQ(exif_orientation(other), std::nullopt);
  other = little;
  other[12] = 5;  // a rational
  EXPECT_EQ(exif_orientation(other), std::nullopt);
  EXPECT_EQ(raw_profile_orientation("one\ntwo"), std::nullopt);
  EXPECT_EQ(raw_profile_orientation("\nexif\n 3\nzz"), std::nullopt);
  EXPECT_EQ(xmp_orientation("tiff:Orientation=x tiff:Orientation>4<"), 4);
  EXPECT_EQ(xmp_orientation("tiff:Orientation"), std::nullopt);
}

}  // namespace
}  // namespace tessera::image::test
