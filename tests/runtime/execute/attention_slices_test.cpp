// SPDX-License-Identifier: Apache-2.0
// Where Q, K and V lie changes no bit: in one value, in three, in any order, heads that share K, V.
#include <gtest/gtest.h>

#include <vector>

#include "runtime/session/session.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"

namespace tessera::test {
namespace {

constexpr Index kHeads = 4, d = 10, H = kHeads * d, kVocab = 40;

class AttentionSlicesTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    model_.program().inputs =
        TokenSpec{.vocab_size = kVocab, .position_rows = 64, .max_tokens = 64};
  }

  ValueId embedded(const std::string& name, Index width) {
    EmbeddingOp op{
        .terms = {{model_.parameter(name + ".table", ParameterKind::table, kVocab, width),
                   TokenInput::ids}},
        .out = kNone};
    return model_.add(name, kTokens, width, op);
  }
  ValueId joined(const std::string& name, const std::vector<ValueId>& in) {
    Index width = 0;
    for (const ValueId id : in) width += model_.program().values[at(id)].width;
    return model_.add(name, kTokens, width, ConcatOp{.in = in, .out = kNone});
  }
  void attend(const std::string& name, Slice q, Slice k, Slice v, Index kv_heads,
              const kernels::AttentionMask& mask) {
    AttentionOp op = self_attention(q.value, kNone, kHeads, d, 0.3F);
    op.q = q, op.k = k, op.v = v;
    op.kv_heads = kv_heads;
    op.mask = mask;
    model_.add(name, kTokens, H, op);
  }
  /// Runs sequences of 1, 2, 17 and 60 rows and compares two outputs bit for bit.
  void expect_equal(const char* a, const char* b) {
    for (const int threads : {1, 3}) {
      const auto session = model_.session(GetParam(), 80, 4, threads);
      std::vector<std::int32_t> ids;
      for (std::int32_t i = 0; i < 80; ++i) ids.push_back(i * 7 % std::int32_t{kVocab});
      const std::vector<std::int32_t> offsets{0, 1, 3, 20, 80};
      session->run({.ids = ids, .offsets = offsets});
      for (Index i = 0; i < 80; ++i) {
        ASSERT_TRUE(bit_identical(session->output(a).row(i), session->output(b).row(i)))
            << a << " and " << b << " at row " << i;
      }
    }
  }

  OpModel model_;
};
INSTANTIATE_FOR_ALL_ISAS(AttentionSlicesTest);

TEST_P(AttentionSlicesTest, OneValueThreeValuesOrAnyOrder) {
  const ValueId q = embedded("q", H), k = embedded("k", H), v = embedded("v", H),
                pad = embedded("pad", 3);
  const ValueId fused = joined("qkv", {q, k, v}), other = joined("vpadqk", {v, pad, q, k});
  for (const kernels::AttentionMask& mask :
       {kernels::AttentionMask{}, kernels::AttentionMask{.left = 9, .right = 2}}) {
    const std::string tag = mask == kernels::AttentionMask{} ? "" : " window";
    attend("fused" + tag, {fused, 0}, {fused, H}, {fused, 2 * H}, kHeads, mask);
    attend("separate" + tag, {q, 0}, {k, 0}, {v, 0}, kHeads, mask);
    attend("ordered" + tag, {other, H + 3}, {other, 2 * H + 3}, {other, 0}, kHeads, mask);
  }
  expect_equal("fused", "separate");
  expect_equal("fused", "ordered");
  expect_equal("fused window", "separate window");
  expect_equal("fused window", "ordered window");
}

TEST_P(AttentionSlicesTest, GroupsOfHeadsShareKeysAndValues) {
  const ValueId q = embedded("q", H), k0 = embedded("k0", d), k1 = embedded("k1", d),
                v0 = embedded("v0", d), v1 = embedded("v1", d);
  const ValueId k = joined("k", {k0, k1}), v = joined("v", {v0, v1});
  const ValueId each_k = joined("each k", {k0, k0, k1, k1}),
                each_v = joined("each v", {v0, v0, v1, v1});
  attend("grouped", {q, 0}, {k, 0}, {v, 0}, 2, {});
  attend("repeated", {q, 0}, {each_k, 0}, {each_v, 0}, kHeads, {});
  expect_equal("grouped", "repeated");
  const ValueId all_k = joined("all k", {k1, k1, k1, k1}),
                all_v = joined("all v", {v0, v0, v0, v0});
  attend("one", {q, 0}, {k1, 0}, {v0, 0}, 1, {});
  attend("one repeated", {q, 0}, {all_k, 0}, {all_v, 0}, kHeads, {});
  expect_equal("one", "one repeated");
}

}  // namespace
}  // namespace tessera::test
