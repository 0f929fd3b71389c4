// SPDX-License-Identifier: Apache-2.0
// What plan and info say of the precision that is not computed: the figures that it has where it is.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstring>

#include "tests/tessera/cli/rated_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/// What a command says of one precision.
struct Cost {
  std::string name;
  double seconds = 0;  // of info: 0
  std::int64_t weights = 0, arena = 0;

  bool operator==(const Cost&) const = default;
};

class OtherPrecisionTest : public RatedTest {
 protected:
  struct Costs {
    Cost chosen, other;
  };
  /// The seconds of the chosen one are the sum over the ops.
  Costs plan(const std::string& arguments) {
    const simdjson::dom::element j = json("plan " + demo_ + " --threads 2 " + arguments);
    double sum = 0;
    for (const simdjson::dom::element op : j["ops"]) sum += double(op["chosen"]["seconds"]);
    EXPECT_NEAR(double(j["totals"]["seconds"]), sum, 1e-6 * sum);  // of nine digits each
    return {{std::string(j["precision"]), double(j["totals"]["seconds"]),
             std::int64_t(j["weights_packed_bytes"]), std::int64_t(j["arena_bytes"])},
            {std::string(j["other_precision"]), double(j["other_seconds"]),
             std::int64_t(j["other_weights_packed_bytes"]), std::int64_t(j["other_arena_bytes"])}};
  }
  Costs info(const std::string& arguments) {
    const simdjson::dom::element j = json("info " + demo_ + " --threads 2 " + arguments);
    return {{std::string(j["precision"]), 0, std::int64_t(j["weights_packed_bytes"]),
             std::int64_t(j["arena_bytes"])},
            {std::string(j["other_precision"]), 0, std::int64_t(j["other_weights_packed_bytes"]),
             std::int64_t(j["other_arena_bytes"])}};
  }
};

// Each run packs the weights of its own precision and allocates its own arena; of the other it has
// shapes only.
TEST_F(OtherPrecisionTest, APlanSaysOfTheOtherWhatTheOtherSaysOfItself) {
  rate(2);
  for (const char* flags : {"--rows 96", "--rows 5000 --sequences 40", "--rows 1",
                            "--rows 96 --loop-order is_os_a --attention flat_rows"}) {
    const Costs fp32 = plan(std::string("--precision fp32 ") + flags),
                bf16 = plan(std::string("--precision bf16 ") + flags);
    EXPECT_EQ(fp32.chosen.name, "fp32");
    EXPECT_EQ(bf16.chosen.name, "bf16");
    EXPECT_EQ(fp32.other, bf16.chosen) << flags;
    EXPECT_EQ(bf16.other, fp32.chosen) << flags;
    EXPECT_LT(bf16.chosen.weights, 0.51 * static_cast<double>(fp32.chosen.weights));
  }
  // Op by op; blocks of chains are chosen for each precision, and may be larger for bf16.
  EXPECT_LT(plan("--precision bf16 --row-blocks off").chosen.arena,
            plan("--precision fp32 --row-blocks off").chosen.arena);
}

TEST_F(OtherPrecisionTest, OfWholeNumbersTheOtherIsInt8) {
  rate(2);
  demo_ = TESSERA_SOURCE_DIR "/models/demo/text-ternary";
  for (const bool in_plan : {true, false}) {
    const auto costs = [&](const std::string& flags) {
      return in_plan ? plan(flags) : info(flags);
    };
    const Costs fp32 = costs("--precision fp32"), int8 = costs("--precision int8"),
                bf16 = costs("--precision bf16");
    EXPECT_THAT(fp32.other.name, testing::StartsWith("int8"));
    EXPECT_THAT(int8.other.name, testing::StartsWith("fp32"));
    EXPECT_THAT(bf16.other.name, testing::StartsWith("fp32"));
    EXPECT_EQ(fp32.other.weights, int8.chosen.weights);
    EXPECT_EQ(int8.other.arena, fp32.chosen.arena);
    EXPECT_EQ(fp32.other.seconds, int8.chosen.seconds * (in_plan ? 1 : 0));
    EXPECT_LT(int8.chosen.weights, bf16.chosen.weights / 2);
  }
}

TEST_F(OtherPrecisionTest, APlanSaysWhatItsOpsMultiply) {
  rate(2);
  const auto of = [&](const std::string& model, const std::string& flags) {
    return unrated("plan " TESSERA_SOURCE_DIR "/models/demo/" + model + " --isa avx2 " + flags).out;
  };
  EXPECT_THAT(of("text", ""), HasSubstr("\nmultiplied in: attention 4 fp32; linear 16 fp32\n"));
  EXPECT_THAT(of("text", "--precision int8"),
              HasSubstr("\nmultiplied in: attention 4 fp32; linear 16 int8\n"));
  EXPECT_THAT(of("text-sections-ternary", "--precision int8"),
              HasSubstr("\nmultiplied in: attention 4 fp32; linear 2 fp32, 16 ternary\n"));
  EXPECT_THAT(of("text-ternary", "--precision int8 --json"),
              HasSubstr(R"("precision":"ternary","flops")"));
}

TEST_F(OtherPrecisionTest, TheTimeOfTheOtherFollowsItsRate) {
  rate(2);
  const Costs fast = plan("--rows 96");
  EXPECT_LT(fast.other.seconds, 0.7 * fast.chosen.seconds);
  rate(0.5);
  const Costs slow = plan("--rows 96");
  EXPECT_DOUBLE_EQ(slow.chosen.seconds, fast.chosen.seconds);
  EXPECT_GT(slow.other.seconds, 1.5 * slow.chosen.seconds);
}

TEST_F(OtherPrecisionTest, ASavedPlanIsComparedWithOneOfTheOther) {
  rate(2);
  const Costs made = plan("--rows 96");
  ASSERT_EQ(rated("plan " + demo_ + " --threads 2 --rows 96 --save plan.json").status, 0);
  const Costs saved = plan("--rows 96 --plan plan.json");
  EXPECT_EQ(saved.chosen, made.chosen);
  EXPECT_EQ(saved.other, made.other);
}

TEST_F(OtherPrecisionTest, TheLineIsOfTheSameFigures) {
  rate(2);
  const auto [now, other] = plan("--rows 96");
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / 1048576; };
  const std::string text = rated("plan " + demo_ + " --threads 2 --rows 96").out;
  EXPECT_THAT(
      text, HasSubstr(fmt::format(
                "\nbf16 would take {:.2f} x the time ({:.2f} ms -> {:.2f} ms predicted), {:.2f} x "
                "the packed weights ({:.1f} -> {:.1f} MiB), {:.2f} x the arena ({:.1f} -> {:.1f} "
                "MiB)\n",
                other.seconds / now.seconds, 1e3 * now.seconds, 1e3 * other.seconds,
                mib(other.weights) / mib(now.weights), mib(now.weights), mib(other.weights),
                mib(other.arena) / mib(now.arena), mib(now.arena), mib(other.arena))));
  EXPECT_THAT(rated("plan " + demo_ + " --rows 96 --precision bf16").out,
              HasSubstr("\nfp32 would take "));
}

TEST_F(OtherPrecisionTest, InfoSaysBytesAndMeasuredRates) {
  rate(2);
  const Costs fp32 = info("--precision fp32"), bf16 = info("--precision bf16");
  EXPECT_EQ(fp32.other.name, "bf16 (bf16 multiplies 2.00 x as fast as fp32 here)");
  EXPECT_EQ(bf16.other.name, "fp32 (bf16 multiplies 2.00 x as fast as fp32 here)");
  EXPECT_EQ(fp32.other.weights, bf16.chosen.weights);
  EXPECT_EQ(fp32.other.arena, bf16.chosen.arena);
  EXPECT_EQ(bf16.other.weights, fp32.chosen.weights);
  EXPECT_EQ(bf16.other.arena, fp32.chosen.arena);
  EXPECT_EQ(plan("--rows 96").other.weights, fp32.other.weights);
  const CommandResult text = unrated("info model");
  EXPECT_THAT(text.out, HasSubstr("other_precision             bf16 (no rates were measured)\n"));
  EXPECT_THAT(text.out, Not(HasSubstr("as fast as")));
  EXPECT_FALSE(std::filesystem::exists(path("cache"))) << "info measures nothing";
}

/// Sets the first element of an F32 tensor.
void overwrite(const std::filesystem::path& file, const char* tensor, float value) {
  std::string bytes = read_file(file);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  simdjson::dom::parser parser;
  const simdjson::dom::element json = parser.parse(bytes.substr(sizeof header, header));
  const std::uint64_t begin = json[tensor]["data_offsets"].at(0);
  std::memcpy(bytes.data() + sizeof header + header + begin, &value, sizeof value);
  write_file(file, bytes);
}

// Nothing of the weights is read for the comparison.
TEST_F(OtherPrecisionTest, WeightsBeyondBf16AreNoErrorOfFp32) {
  rate(2);
  overwrite(path("model/model.safetensors"), "encoder.layer.0.intermediate.dense.weight", 3.4e38F);
  const CommandResult fp32 = rated("plan model");
  EXPECT_EQ(fp32.status, 0) << fp32.err;
  EXPECT_THAT(fp32.out, HasSubstr("\nbf16 would take "));
  EXPECT_EQ(rated("info model --precision bf16").status, 0);
  expect_failure(rated("plan model --precision bf16"), 1, "layer.0");
}

}  // namespace
}  // namespace tessera::test
