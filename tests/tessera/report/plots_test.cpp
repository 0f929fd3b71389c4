// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/plan/plan.hpp"
#include "runtime/session/session.hpp"
#include "tessera/pipeline/encoder.hpp"
#include "tessera/report/page.hpp"
#include "tessera/report/style.hpp"
#include "tests/support/temporary.hpp"
#include "tests/tessera/tiny_directory.hpp"

namespace tessera::plots {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

TEST(SvgTest, TextIsEscaped) {
  EXPECT_EQ(escaped("a<b & \"c\" 'd'>"), "a&lt;b &amp; &quot;c&quot; &#39;d&#39;&gt;");
  EXPECT_EQ(escaped(std::string("x\x01y")), "x\xEF\xBF\xBDy");
  Svg svg(10, 10, "<label>");
  svg.rect(0, 0, 1, 1, "qkv", "</title><script>");
  EXPECT_THAT(svg.embedded(), Not(HasSubstr("<script>")));
  EXPECT_THAT(svg.embedded(), HasSubstr("aria-label=\"&lt;label&gt;\""));
}

TEST(SvgTest, AStandalonePictureKnowsNoCustomProperties) {
  EXPECT_THAT(standalone_style(), Not(HasSubstr("var(")));
  EXPECT_THAT(page_style(), HasSubstr("prefers-color-scheme:dark"));
}

TEST(ScaleTest, MapsAndTicks) {
  const Scale linear = Scale::linear(0, 10, 100, 200);
  EXPECT_DOUBLE_EQ(linear(2.5), 125);
  EXPECT_THAT(linear.ticks(5), ElementsAre(0, 2, 4, 6, 8, 10));
  const Scale log = Scale::log(1, 1000, 0, 3);
  EXPECT_NEAR(log(100), 2, 1e-12);
  EXPECT_THAT(log.ticks(5), ElementsAre(1, 10, 100, 1000));
  EXPECT_THAT(Scale::log(1, 20, 0, 1).ticks(5), ElementsAre(1, 2, 5, 10, 20));
  EXPECT_THAT(Scale::linear(0, 0, 0, 1).ticks(5), ElementsAre(0));
}

TEST(ScaleTest, LabelsAreShort) {
  EXPECT_EQ(tick_label(0.5), "0.5");
  EXPECT_EQ(tick_label(20000), "20k");
  EXPECT_EQ(tick_label(1e11), "100G");
  EXPECT_EQ(bytes_label(1840000), "1.84 MB");
  EXPECT_EQ(bytes_label(340e6), "340 MB");
  EXPECT_EQ(bytes_label(17), "17 B");
  EXPECT_EQ(seconds_label(0.00456), "4.56 ms");
}

/// A report of the tiny model of these tests; L2 bytes "measured" as 1.25 times those predicted.
class ReportDataTest : public testing::Test {
 protected:
  void SetUp() override {
    test::write_model(directory_);
    const auto package = std::make_shared<const models::Package>(models::open_package(directory_));
    const auto model = Model::create(package->program, package->checkpoint, {});
    const MachineRates rates = nominal_rates(machine(), model->isa());
    const auto session = Session::create(model, {.max_rows = 12,
                                                 .max_sequences = 2,
                                                 .threads = 1,
                                                 .outputs = {"last_hidden_state"},
                                                 .rates = rates});
    data_ = {.model = "<tiny>",
             .plan = session->report(12, 2),
             .rates = rates,
             .machine = machine(),
             .program = session->program(),
             .memory = plan_memory(session->program(), 12, 2),
             .sweeps = {}};
    const kernels::Gemm& gemm = kernels::kernels_at(model->isa()).gemm[Precision::f32];
    const PlanInput input{.program = data_.program,
                          .machine = machine(),
                          .rates = rates,
                          .isa = model->isa(),
                          .tile = {TileShape{.MR = gemm.MR, .NR = gemm.NR}},
                          .threads = 1,
                          .max_rows = 12,
                          .max_sequences = 2};
    data_.sweeps = sweep_orders(data_.program, input.plan_machine(), session->plan(), 64);
  }
  void measure() {
    meters::Measurement bytes{
        .meter = "replay", .source = "a test", .ops = {}, .notes = {"a note"}};
    for (std::size_t i = 0; i < data_.plan.ops.size(); ++i) {
      data_.plan.ops[i].run_l2_bytes.reset();  // a run of this model moves nothing: all of it fits
      bytes.ops.push_back({.op = i, .l2 = meters::EdgeBytes{l2_bytes_of(data_.plan.ops[i]), 0}});
      bytes.ops.back().l2->written_back = bytes.ops.back().l2->fills / 4;
    }
    data_.bytes = bytes;
  }

  test::TemporaryDirectory temporary_;
  std::filesystem::path directory_ = temporary_.path();
  ReportData data_{.model = {},
                   .plan = {},
                   .rates = {},
                   .machine = {},
                   .program = {},
                   .memory = {},
                   .sweeps = {}};
};

TEST_F(ReportDataTest, LinearsHaveTheirPlaceInTheLayer) {
  const std::vector<Place> places = places_of(data_.program);
  std::vector<Part> layer;
  for (const Place& place : places) {
    if (place.layer == 0 && place.part != Part::other) layer.push_back(place.part);
  }
  EXPECT_THAT(layer,
              ElementsAre(Part::qkv, Part::attention, Part::projection, Part::up, Part::down));
  EXPECT_EQ(places.front().layer, -1);
}

TEST_F(ReportDataTest, SweepsBeginAtOneRowAndEndAtTheLast) {
  ASSERT_FALSE(data_.sweeps.empty());
  for (const OrderSweep& sweep : data_.sweeps) {
    EXPECT_EQ(sweep.steps.front().rows, 1);
    EXPECT_EQ(sweep.steps.back().rows, 64);
    for (const OrderSweep::Step& step : sweep.steps) {
      EXPECT_TRUE(step.bytes[static_cast<std::size_t>(step.chosen)]) << sweep.name;
    }
  }
}

TEST_F(ReportDataTest, WithoutAMeterThePageSaysPredicted) {
  const std::string page = report_page(data_, draw_all(data_));
  EXPECT_THAT(page, HasSubstr("&lt;tiny&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<tiny>")));
  EXPECT_THAT(page, HasSubstr("not measured"));
  EXPECT_THAT(page, Not(HasSubstr("http://cdn")));
  EXPECT_EQ(count(page, "<svg"), count(page, "</svg>"));
  EXPECT_EQ(count(page, "<details>"), count(page, "</details>"));
  EXPECT_EQ(count(page, "<tr>"), 1 + data_.plan.ops.size());
  EXPECT_EQ(count(page, "nan"), 0U);
}

TEST_F(ReportDataTest, TheArenaSaysWhatLiesInBlocks) {
  EXPECT_THAT(report_page(data_, draw_all(data_)), Not(HasSubstr("What only a chain of ops uses")));
  data_.memory.block_bytes = 4096;
  EXPECT_THAT(report_page(data_, draw_all(data_)),
              HasSubstr("What only a chain of ops uses is not drawn: it lies in 4.10 KB of each"));
}

TEST_F(ReportDataTest, MeasuredBytesStandBesidePredictedOnes) {
  measure();
  const std::string page = report_page(data_, draw_all(data_));
  EXPECT_THAT(page, HasSubstr("-20.0 %"));  // 1/1.25 − 1
  EXPECT_THAT(page, HasSubstr("measured by replay"));
  EXPECT_THAT(page, HasSubstr("a note"));
  const Plot bars = draw_layer_bytes(data_);
  EXPECT_EQ(count(bars.svg.embedded(), " predicted</title>"),
            2 * count(bars.svg.embedded(), " measured</title>"));  // L1 was not measured
}

}  // namespace
}  // namespace tessera::plots
