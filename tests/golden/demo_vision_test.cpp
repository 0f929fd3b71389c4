// SPDX-License-Identifier: Apache-2.0
//
// The glyph classifier that ships: PNG file to logits, against what its trainer computed from the
// stored weights (models/demo/expected-vision.json in f64; models/demo/data/glyphs.tsv: the file,
// the right label and the trainer's answer). CMake unpacks data/glyphs.tar into TESSERA_GLYPHS_DIR.
#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "models/image/decode.hpp"
#include "models/image/preprocessor.hpp"
#include "models/package.hpp"
#include "runtime/session/session.hpp"
#include "tests/support/isa.hpp"

namespace tessera::test {
namespace {

const std::filesystem::path kDemo = std::filesystem::path(TESSERA_SOURCE_DIR) / "models/demo";
const std::filesystem::path kGlyphs = TESSERA_GLYPHS_DIR;
constexpr std::size_t kBatch = 48;

struct Glyph {
  std::string file;
  std::string label;
  std::string answer;  ///< the trainer's
};

std::vector<Glyph> read_glyphs() {
  std::ifstream in(kDemo / "data/glyphs.tsv");
  std::vector<Glyph> glyphs;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    Glyph& g = glyphs.emplace_back();
    std::getline(fields, g.file, '\t');
    std::getline(fields, g.label, '\t');
    std::getline(fields, g.answer, '\t');
  }
  return glyphs;
}

std::map<std::string, std::vector<double>> read_expected() {
  simdjson::dom::parser parser;
  std::map<std::string, std::vector<double>> out;
  for (const simdjson::dom::element entry :
       parser.load((kDemo / "expected-vision.json").string()).get_array()) {
    std::vector<double>& logits = out[std::string(std::string_view(entry["image"]))];
    for (const double x : entry["logits"].get_array()) logits.push_back(x);
  }
  return out;
}

// The images as the checkpoint's own preprocessing leaves them.
std::vector<image::RgbImage> read_images(const std::vector<Glyph>& glyphs,
                                         const image::Preprocessor& preprocessor) {
  image::Preprocessor::Workspace workspace;
  std::vector<image::RgbImage> images(glyphs.size());
  for (std::size_t i = 0; i < glyphs.size(); ++i) {
    std::ifstream in(kGlyphs / glyphs[i].file, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    image::RgbImage decoded;
    image::decode({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                  glyphs[i].file, {}, decoded);
    image::PreparedImage prepared;
    preprocessor.run(decoded, workspace, prepared);
    images[i] = std::move(prepared.bytes);
  }
  return images;
}

class DemoVisionTest : public testing::TestWithParam<Isa> {};

TEST_P(DemoVisionTest, GlyphsGiveTheTrainersLogitsAndAnswers) {
  const Isa isa = GetParam();
  SKIP_UNLESS_SUPPORTED(isa);
  const models::Package package = models::open_package(kDemo / "vision");
  const image::Preprocessor preprocessor(
      image::read_preprocessor_config(kDemo / "vision", package.model_type));
  const auto expected = read_expected();
  const std::vector<Glyph> glyphs = read_glyphs();
  ASSERT_GE(glyphs.size(), 720U);
  const std::vector<image::RgbImage> pixels = read_images(glyphs, preprocessor);
  const auto model =
      Model::create(package.program, package.checkpoint, {.isa = isa, .outputs = {"logits"}});
  const auto session = Session::create(
      model, {.max_rows = 17 * kBatch, .max_sequences = kBatch, .threads = 1, .outputs = {}});

  std::size_t compared = 0;
  std::ptrdiff_t right = 0;
  std::ptrdiff_t trainer_right = 0;
  for (std::size_t first = 0; first < glyphs.size(); first += kBatch) {
    std::vector<Image> batch;
    for (std::size_t i = first; i < std::min(first + kBatch, glyphs.size()); ++i) {
      batch.push_back({.pixels = pixels[i].pixels.data(),
                       .values = preprocessor.values().data(),
                       .height = pixels[i].height,
                       .width = pixels[i].width});
    }
    session->run({.images = batch});
    for (std::size_t k = 0; k < batch.size(); ++k) {
      const Glyph& glyph = glyphs[first + k];
      const std::span<const float> logits = session->output("logits").row(static_cast<Index>(k));
      ASSERT_EQ(logits.size(), 36U);
      if (const auto known = expected.find(glyph.file); known != expected.end()) {
        ++compared;
        for (std::size_t c = 0; c < logits.size(); ++c) {
          const double want = known->second[c];
          EXPECT_NEAR(static_cast<double>(logits[c]), want, 1e-4 * std::max(1.0, std::abs(want)))
              << glyph.file << ", class " << c;
        }
      }
      const auto best =
          static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
      right += package.labels.at(best) == glyph.label ? 1 : 0;
      trainer_right += glyph.answer == glyph.label ? 1 : 0;
    }
  }
  EXPECT_EQ(compared, expected.size());
  EXPECT_GE(compared, 72U);
  EXPECT_LE(std::abs(right - trainer_right), 1);
  EXPECT_GE(10 * static_cast<std::size_t>(right), 9 * glyphs.size());
}

INSTANTIATE_FOR_ALL_ISAS(DemoVisionTest);

}  // namespace
}  // namespace tessera::test
