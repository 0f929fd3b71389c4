// SPDX-License-Identifier: Apache-2.0
//
// Patch embedding against a convolution in double: odd patches, what is left over at the edges,
// special rows, positions of other grids; images of different sizes in one batch; 8-bit pixels; and
// the sizes that are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.hpp"
#include "tests/runtime/execute/patch_model.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/test_image.hpp"

namespace tessera {
namespace {

using test::PatchModel;
using test::PatchShape;
using test::TestImage;

std::vector<float> dense(TensorView<const float> view, Index begin, Index end) {
  std::vector<float> rows;
  for (Index i = begin; i < end; ++i)
    rows.insert(rows.end(), view.row(i).begin(), view.row(i).end());
  return rows;
}

class PatchEmbedTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  void matches_reference(const PatchShape& shape, Index height, Index width) const {
    matches_reference(shape, height, width, Precision::f32);
    matches_reference(shape, height, width, Precision::bf16);
  }
  void matches_reference(const PatchShape& shape, Index height, Index width,
                         Precision precision) const {
    const PatchModel model(shape);
    const TestImage image(shape.channels, height, width, 3);
    const bool other = height != shape.side || width != shape.side;
    const Index rows = image_rows(*model.program().images(), height, width, other);
    const auto session = model.session(GetParam(), rows, 1, 1, precision);
    const std::vector<Image> batch{image.of_floats()};
    session->run({.images = batch, .interpolate_positions = other});
    std::vector<double> value, bound;
    model.reference(batch[0], value, bound, precision);
    EXPECT_TRUE(test::near_elementwise(dense(session->output("rows"), 0, rows), value,
                                       [&](Index i) { return bound[static_cast<std::size_t>(i)]; }))
        << height << " x " << width << ", patches of " << shape.patch_height << " x "
        << shape.patch_width << ", width " << shape.width << ", " << to_string(precision);
  }
};
INSTANTIATE_FOR_ALL_ISAS(PatchEmbedTest);

TEST_P(PatchEmbedTest, IsTheConvolution) {
  matches_reference({}, 28, 28);
  matches_reference({.channels = 1,
                     .side = 19,
                     .patch_height = 3,
                     .patch_width = 5,
                     .width = 1,
                     .special = 0,
                     .positioned = 0},
                    19, 19);
  matches_reference(
      {.side = 30, .patch_height = 8, .patch_width = 8, .width = 67, .special = 1, .bias = false},
      30, 30);
  matches_reference({.side = 12, .patch_height = 1, .patch_width = 1, .positioned = 2}, 12, 12);
  matches_reference({.special = 5, .positioned = 0, .positions = false}, 28, 28);
  matches_reference({.side = 224, .patch_height = 14, .patch_width = 14, .width = 33}, 224, 224);
}

TEST_P(PatchEmbedTest, PositionsOfOtherGridsAreInterpolated) {
  for (const PositionResize resize :
       {PositionResize::bicubic, PositionResize::bicubic_antialiased}) {
    for (const auto& [height, width] :
         {std::pair<Index, Index>{56, 35}, {7, 7}, {13, 70}, {28, 34}, {14, 14}, {21, 91}}) {
      matches_reference({.sizes = ImageSizes::any, .resize = resize}, height, width);
    }
  }
}

TEST_P(PatchEmbedTest, AnImageHasTheBitsThatItHasAlone) {
  const PatchModel model({.sizes = ImageSizes::any});
  const ImageSpec& spec = *model.program().images();
  std::vector<TestImage> images;
  std::vector<Image> batch;
  std::vector<Index> offsets{0};
  for (const auto& [h, w] :
       {std::pair<Index, Index>{28, 28}, {7, 200}, {140, 133}, {28, 28}, {8, 9}}) {
    images.emplace_back(3, h, w, static_cast<std::uint64_t>(h * w));
    offsets.push_back(offsets.back() + image_rows(spec, h, w));
  }
  for (const TestImage& image : images) batch.push_back(image.of_floats());
  batch[2] = images[2].of_bytes();
  for (const auto& [threads, precision] : {std::pair{1, Precision::f32},
                                           {2, Precision::f32},
                                           {3, Precision::f32},
                                           {1, Precision::bf16},
                                           {3, Precision::bf16}}) {
    const auto together = model.session(GetParam(), offsets.back(), 5, threads, precision);
    together->run({.images = batch});
    for (std::size_t s = 0; s < images.size(); ++s) {
      const auto alone = model.session(GetParam(), offsets[s + 1] - offsets[s], 1, 1, precision);
      for (const Image& form : {images[s].of_floats(), images[s].of_bytes()}) {
        const std::vector<Image> one{form};
        alone->run({.images = one});
        const TensorView<const float> rows = alone->output("rows");
        EXPECT_TRUE(test::bit_identical(dense(together->output("rows"), offsets[s], offsets[s + 1]),
                                        dense(rows, 0, rows.rows)))
            << "image " << s << ", " << threads << " threads, " << to_string(precision);
      }
    }
  }
}

TEST_P(PatchEmbedTest, IsPricedInItsPrecision) {
  const PatchModel model({});
  const auto report = [&](Precision precision) {
    return test::report_of(
        Model::create(model.program(), model.checkpoint(),
                      {.isa = GetParam(), .outputs = {}, .precision = precision}),
        "patch_embed", 18);
  };
  const OpReport f32 = report(Precision::f32), bf16 = report(Precision::bf16);
  EXPECT_EQ(f32.precision, Precision::f32);
  EXPECT_EQ(bf16.precision, Precision::bf16);
  EXPECT_NEAR(f32.chosen.seconds / bf16.chosen.seconds, 4.0, 1.2);
}

TEST(PatchEmbedPlanTest, NoMoreRowsAreGatheredAtATimeThanASessionTakes) {
  const PatchModel model({});
  for (const Index rows : {Index{18}, Index{4000}}) {
    const auto session = model.session(Isa::baseline, rows, 1);
    EXPECT_LE(session->plan().ops.front().patch_rows, rows);
    EXPECT_GT(session->plan().ops.front().patch_rows, 0);
  }
}

TEST(PatchEmbedErrorTest, WrongBatchesAreRefusedByName) {
  const PatchModel model({.sizes = ImageSizes::on_asking});
  const auto session = model.session(Isa::baseline, 40, 2);
  const TestImage image(3, 28, 28, 1), larger(3, 35, 35, 2);
  const auto refused = [&](const Batch& batch, const char* what) {
    try {
      session->run(batch);
      ADD_FAILURE() << "accepted, expected " << what;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      EXPECT_THAT(error.what(), testing::HasSubstr(what));
    }
  };
  const auto of = [&](Index height, Index width, bool interpolate) {
    Image sized = image.of_floats();
    sized.height = height;
    sized.width = width;
    const std::vector<Image> batch{sized};
    refused({.images = batch, .interpolate_positions = interpolate}, "image 0: image: size is");
  };
  for (const bool interpolate : {false, true}) {
    of(0, 0, interpolate), of(28, 0, interpolate), of(-28, -28, interpolate),
        of(6, 28, interpolate);
    of(Index{1} << 40, Index{1} << 40, interpolate);
  }
  of(35, 35, false), of(28, 29, false);
  const std::vector<Image> one{larger.of_floats()}, two{image.of_floats(), larger.of_floats()},
      three(3, image.of_floats()), none{{.height = 28, .width = 28}},
      lutless{{.pixels = image.pixels.data(), .height = 28, .width = 28}};
  session->run({.images = one, .interpolate_positions = true});
  refused({.images = two, .interpolate_positions = true}, "max_rows");
  refused({.images = three}, "max_sequences");
  refused({.images = none}, "neither planes nor pixels");
  refused({.images = lutless}, "without values");
  refused({}, "no images");
  const std::vector<std::int32_t> ids{1}, offsets{0, 1};
  refused({.ids = ids, .offsets = offsets}, "no images");
  refused({.ids = ids, .offsets = offsets, .images = one}, "images and tokens");

  const test::TinyModel tokens{test::TinyShape{}};
  const auto of_tokens = Session::create(Model::create(tokens.program(), tokens.checkpoint(), {}),
                                         {.max_rows = 40, .max_sequences = 2, .outputs = {}});
  EXPECT_THROW(of_tokens->run({.images = one}), Error);
  const PatchModel fixed({.sizes = ImageSizes::native});
  EXPECT_THROW(image_rows(*fixed.program().images(), 35, 35, true), Error);
}

TEST(PatchEmbedErrorTest, BrokenProgramsAreRefused) {
  const auto broken = [](auto&& edit) {
    Program program = PatchModel({}).program();
    edit(program, std::get<PatchEmbedOp>(program.ops[0]));
    EXPECT_THROW(check(program), Error);
  };
  broken([](Program& p, PatchEmbedOp&) { p.inputs = TokenSpec{}; });
  broken([](Program& p, PatchEmbedOp&) { std::get<ImageSpec>(p.inputs).patch_width = 6; });
  broken([](Program& p, PatchEmbedOp&) { std::get<ImageSpec>(p.inputs).special_tokens = 3; });
  broken([](Program&, PatchEmbedOp& op) { op.positioned = 2; });
  broken([](Program&, PatchEmbedOp& op) { op.special = kNone; });
  broken([](Program&, PatchEmbedOp& op) { op.positions = op.weight; });
  broken([](Program&, PatchEmbedOp& op) { op.bias = 1000; });
}

}  // namespace
}  // namespace tessera
