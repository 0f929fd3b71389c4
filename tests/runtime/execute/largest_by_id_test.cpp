// SPDX-License-Identifier: Apache-2.0
//
// The largest number of each token id, against a loop: ids that repeat, special ids, rows that are left
// out, NaN, threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/runtime/op_model.hpp"
#include "tests/support/isa.hpp"

namespace tessera {
namespace {

using test::OpModel;

constexpr Index kVocab = 12;
constexpr std::int32_t kFrom = 4;

class LargestByIdTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  /// in[i] = table[id] + types[type], so that rows of one id differ.
  static void build(OpModel& model, float mean = 0.0F) {
    model.program().inputs = TokenSpec{
        .vocab_size = kVocab, .type_vocab_size = 3, .position_rows = 64, .max_tokens = 64};
    const ValueId in = model.add(
        "in", kTokens, 1,
        EmbeddingOp{
            .terms = {{model.parameter("table", ParameterKind::table, kVocab, 1), TokenInput::ids},
                      {model.parameter("types", ParameterKind::table, 3, 1, 1.0F, mean),
                       TokenInput::types}},
            .out = kNone});
    model.add("out", kSequences, kVocab, LargestByIdOp{.in = in, .out = kNone, .from_id = kFrom});
  }
};
INSTANTIATE_FOR_ALL_ISAS(LargestByIdTest);

TEST_P(LargestByIdTest, IsTheLargestOfTheRowsThatAreRead) {
  const std::vector<std::int32_t> ids{5, 5, 11, 3, 4, 0, 5, 7, 7, 4, 9, 9};
  const std::vector<std::int32_t> types{0, 1, 2, 0, 1, 2, 2, 0, 1, 2, 1, 0};
  const std::vector<std::int32_t> offsets{0, 7, 8, 12}, query_only{1, 0, 2};
  bool is_negative = false;
  for (const int threads : {1, 2}) {
    OpModel model;
    build(model);
    const auto session = model.session(GetParam(), 16, 4, threads);
    for (const bool leaves_out : {false, true}) {
      Batch batch{.ids = ids, .types = types, .offsets = offsets};
      if (leaves_out) batch.query_only = query_only;
      session->run(batch);
      const TensorView<const float> in = session->output("in"), out = session->output("out");
      for (std::size_t s = 0; s < 3; ++s) {
        std::vector<float> expected(kVocab, 0.0F);
        std::set<std::int32_t> seen;
        const std::int32_t skip = leaves_out ? query_only[s] : 0;
        for (std::int32_t i = offsets[s] + skip; i < offsets[s + 1]; ++i) {
          const std::int32_t id = ids[static_cast<std::size_t>(i)];
          if (id < kFrom) continue;
          float& largest = expected[static_cast<std::size_t>(id)];
          largest = seen.insert(id).second ? in.row(i)[0] : std::max(largest, in.row(i)[0]);
          is_negative |= largest < 0.0F;
        }
        const auto row = out.row(static_cast<Index>(s));
        EXPECT_TRUE(std::equal(row.begin(), row.end(), expected.begin(), expected.end())) << s;
      }
    }
  }
  EXPECT_TRUE(is_negative) << "a largest that is below 0 is no 0";
}

TEST_P(LargestByIdTest, NanIsNoZero) {
  OpModel model;
  build(model, std::nanf(""));
  const auto session = model.session(GetParam(), 4, 1);
  const std::vector<std::int32_t> ids{5, 6, 5}, offsets{0, 3};
  session->run({.ids = ids, .offsets = offsets});
  const auto row = session->output("out").row(0);
  EXPECT_TRUE(std::isnan(row[5]) && std::isnan(row[6]));
  EXPECT_EQ(row[7], 0.0F);
}

}  // namespace
}  // namespace tessera
