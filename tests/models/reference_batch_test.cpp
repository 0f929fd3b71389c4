// SPDX-License-Identifier: Apache-2.0
#include "models/reference_batch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/checkpoint_copy.hpp"

namespace tessera::models {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<std::int64_t>;

const TokenSpec kColumns{
    .vocab_size = 50, .type_vocab_size = 2, .position_rows = 16, .max_tokens = 16};
const TokenSpec kFromIds{.vocab_size = 50,
                         .type_vocab_size = 0,
                         .position_rows = 16,
                         .max_tokens = 14,
                         .position_rule = PositionRule::from_ids,
                         .position_pad = 1};

TEST(ReferenceBatchTest, PaddingOnTheRightIsLeftAway) {
  const Ids ids{5, 6, 7, 8, 9, 0, 0, 0}, mask{1, 1, 1, 1, 1, 0, 0, 0},
      types{0, 0, 1, 1, 1, 0, 0, 0};
  const ReferenceBatch batch(kColumns, 2, 4, ids, mask, types);
  const Batch view = batch.view();
  EXPECT_THAT(view.ids, ElementsAre(5, 6, 7, 8, 9));
  EXPECT_THAT(view.types, ElementsAre(0, 0, 1, 1, 1));
  EXPECT_THAT(view.offsets, ElementsAre(0, 4, 5));
  EXPECT_THAT(view.positions, ElementsAre(0, 1, 2, 3, 0));
  EXPECT_THAT(view.columns, ElementsAre(0, 1, 2, 3, 0));
  EXPECT_THAT(view.query_only, ElementsAre(0, 0));
  EXPECT_EQ(batch.padded_index(4), 4);
}

TEST(ReferenceBatchTest, PaddingOnTheLeftKeepsColumnZeroAsAQuery) {
  const Ids ids{0, 0, 5, 6}, mask{0, 0, 1, 1};
  const ReferenceBatch batch(kColumns, 1, 4, ids, mask, {});
  const Batch view = batch.view();
  EXPECT_THAT(view.ids, ElementsAre(0, 5, 6));
  EXPECT_TRUE(view.types.empty());
  EXPECT_THAT(view.positions, ElementsAre(0, 2, 3));
  EXPECT_THAT(view.columns, ElementsAre(0, 2, 3));
  EXPECT_THAT(view.query_only, ElementsAre(1));
  EXPECT_TRUE(batch.is_query_only(0));
  EXPECT_FALSE(batch.is_query_only(1));
}

TEST(ReferenceBatchTest, PositionsFromIdsCountOverThePaddedRow) {
  const Ids ids{1, 5, 1, 6}, mask{0, 1, 1, 1}, types{1, 1, 1, 1};
  const ReferenceBatch batch(kFromIds, 1, 4, ids, mask, types);
  EXPECT_THAT(batch.view().positions, ElementsAre(1, 2, 1, 3));
  EXPECT_TRUE(batch.view().types.empty());  // the model has none
}

TEST(ReferenceBatchTest, GapsInTheColumnsAreCutWhereFarDistancesAreAlike) {
  TokenSpec spec = kFromIds;
  spec.far_distance = 3;
  const Ids ids{1, 1, 1, 1, 1, 1, 5, 6, 1, 7}, mask{0, 0, 0, 0, 0, 0, 1, 1, 0, 1};
  const ReferenceBatch batch(spec, 1, 10, ids, mask, {});
  EXPECT_THAT(batch.view().columns, ElementsAre(0, 3, 4, 6));
  spec.far_distance = 0;
  EXPECT_THAT(ReferenceBatch(spec, 1, 10, ids, mask, {}).view().columns, ElementsAre(0, 6, 7, 9));
}

TEST(ReferenceBatchTest, HolesInTheMaskAreLeftAway) {
  const Ids ids{5, 6, 7, 8}, mask{1, 0, 1, 1};
  const ReferenceBatch batch(kColumns, 1, 4, ids, mask, {});
  EXPECT_THAT(batch.view().positions, ElementsAre(0, 2, 3));
}

TEST(ReferenceBatchTest, MaskedRowsThatMaySeeOneAnotherComeFirstWithTheirColumns) {
  TokenSpec spec = kColumns;
  spec.masked_rows = MaskedRows::see_all_if_nothing;
  const Ids ids{0, 0, 5, 0, 6}, mask{0, 0, 1, 0, 1};
  const ReferenceBatch batch(spec, 1, 5, ids, mask, {});
  EXPECT_THAT(batch.view().query_only, ElementsAre(3));
  EXPECT_THAT(batch.view().columns, ElementsAre(0, 1, 3, 2, 4));
  EXPECT_THAT(batch.view().positions, ElementsAre(0, 1, 3, 2, 4));
  const Ids attended{1, 0, 1, 0, 1};  // nothing reads masked rows then
  EXPECT_THAT(ReferenceBatch(spec, 1, 5, ids, attended, {}).view().columns, ElementsAre(0, 2, 4));
}

TEST(ReferenceBatchTest, ScatterPutsRowsWhereTheyWere) {
  const Ids ids{0, 5, 6, 7, 8, 0}, mask{0, 1, 1, 1, 1, 0};
  const ReferenceBatch batch(kColumns, 2, 3, ids, mask, {});
  ASSERT_EQ(batch.rows(), 5);
  const std::vector<float> ragged{9, 9, 9, 1, 2, 9, 3, 4, 9, 5, 6, 9, 7, 8, 9};
  std::vector<float> padded(12, -1.0F);
  batch.scatter({.data = ragged.data(), .rows = 5, .cols = 2, .stride = 3}, padded);
  EXPECT_THAT(padded, ElementsAre(0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0));
}

TEST(ReferenceBatchTest, ASequenceWithoutAttendedColumnsIsOneQuery) {
  const Ids ids{5, 6}, mask{0, 0};
  const ReferenceBatch batch(kColumns, 1, 2, ids, mask, {});
  EXPECT_THAT(batch.view().query_only, ElementsAre(1));
  EXPECT_EQ(batch.rows(), 1);
  std::vector<float> padded(2, -1.0F);
  const float value = 3.0F;
  batch.scatter({.data = &value, .rows = 1, .cols = 1, .stride = 1}, padded);
  EXPECT_THAT(padded, ElementsAre(0, 0));
}

TEST(ReferenceBatchTest, WrongInputsAreNamed) {
  const auto error = [](const Ids& ids, const Ids& mask, const Ids& types, Index B = 1,
                        Index T = 2) {
    return error_of([&] { const ReferenceBatch batch(kColumns, B, T, ids, mask, types); });
  };
  EXPECT_EQ(error({5, 50}, {}, {}), "invalid_argument: input_ids[1] is 50, expected 0 to 49");
  EXPECT_THAT(error({-1, 5}, {}, {}), HasSubstr("input_ids[0] is -1"));
  EXPECT_THAT(error({5, 6}, {1, 2}, {}), HasSubstr("attention_mask[1] is 2, expected 0 to 1"));
  EXPECT_THAT(error({5, 6}, {}, {0, 2}), HasSubstr("token_type_ids[1] is 2"));
  EXPECT_THAT(error({5}, {}, {}), HasSubstr("input_ids has 1 elements, expected 2"));
  EXPECT_THAT(error({5, 6}, {1}, {}), HasSubstr("attention_mask has 1 elements, expected 2"));
  EXPECT_THAT(error({}, {}, {}, 0, 0), HasSubstr("shape (0,0)"));
}

}  // namespace
}  // namespace tessera::models
