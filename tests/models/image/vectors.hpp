// SPDX-License-Identifier: Apache-2.0
// Files of images and what Pillow makes of them: tests/data/images, by
// scripts/make_image_vectors.py.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "models/image/decode.hpp"
#include "runtime/base/error.hpp"

namespace tessera::image::test {

namespace fs = std::filesystem;

/// The committed vectors, or those of TESSERA_IMAGE_VECTORS.
inline fs::path vectors() {
  const char* other = std::getenv("TESSERA_IMAGE_VECTORS");
  return other != nullptr ? fs::path(other) : fs::path(TESSERA_SOURCE_DIR) / "tests/data/images";
}

inline std::vector<std::uint8_t> bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

inline RgbImage decoded(const fs::path& path, const DecodeLimits& limits = {}) {
  RgbImage image;
  decode(bytes_of(path), path.filename().string(), limits, image);
  return image;
}

/// What decode() says of `bytes`, which it refuses with `code`; else "decoded".
inline std::string message_of(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {},
                              ErrorCode code = ErrorCode::corrupt_file) {
  RgbImage image;
  try {
    decode(bytes, "a.file", limits, image);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_THAT(e.what(), testing::StartsWith("a.file: "));
    EXPECT_THAT(e.what(), testing::HasSubstr("expected"));
    return e.what();
  }
  return "decoded";
}

inline std::vector<std::uint8_t> bytes_of_text(std::string_view text) {
  return {text.begin(), text.end()};
}

/// A committed file.
inline fs::path seed(const std::string& name) {
  return fs::path(TESSERA_SOURCE_DIR) / "tests/data/images/decode" / name;
}

/// A binary PPM: "P6\nW H\n255\n" and the pixels.
inline RgbImage ppm(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string magic;
  Index width = 0, height = 0, most = 0;
  in >> magic >> width >> height >> most;
  in.get();
  RgbImage image;
  image.resize(width, height);
  in.read(reinterpret_cast<char*>(image.pixels.data()),
          static_cast<std::streamsize>(image.pixels.size()));
  EXPECT_TRUE(in.good() && magic == "P6" && most == 255) << path;
  return image;
}

struct Difference {
  Index unequal = 0, pixels = 0;
  int largest = 0;  // step of 8 bits
};

inline Difference difference(const RgbImage& a, const RgbImage& b) {
  Difference d;
  d.pixels = a.width * a.height;
  if (a.width != b.width || a.height != b.height) return {d.pixels, d.pixels, 256};
  for (Index i = 0; i < d.pixels; ++i) {
    int worst = 0;
    for (Index c = 0; c < kChannels; ++c) {
      const auto at = static_cast<std::size_t>(i * kChannels + c);
      worst = std::max(worst, std::abs(int{a.pixels[at]} - int{b.pixels[at]}));
    }
    d.unequal += worst != 0 ? 1 : 0;
    d.largest = std::max(d.largest, worst);
  }
  return d;
}

inline void expect_equal(const RgbImage& a, const RgbImage& b, const std::string& what) {
  EXPECT_EQ(a.width, b.width) << what;
  EXPECT_EQ(a.height, b.height) << what;
  const Difference d = difference(a, b);
  EXPECT_EQ(d.unequal, 0) << what << ": of " << d.pixels << " pixels, up to " << d.largest;
}

}  // namespace tessera::image::test
