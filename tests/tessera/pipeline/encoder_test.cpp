// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/encoder.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "models/package.hpp"
#include "runtime/base/error.hpp"
#include "tessera/pipeline/model_facts.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/temporary.hpp"
#include "tests/tessera/tiny_directory.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

class EncoderTest : public testing::Test {
 protected:
  void SetUp() override { test::write_model(directory_); }

  static std::vector<TokenSequence> sequences(std::size_t count) {
    std::vector<TokenSequence> result(count);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t t = 0; t <= i * 7 % 24 && t < 24; ++t) {
        result[i].ids.push_back(static_cast<std::int32_t>((i + 3 * t) % 20));
      }
    }
    return result;
  }
  std::vector<float> embed(TextEncoder& encoder, const std::vector<TokenSequence>& inputs) {
    std::vector<float> out(inputs.size() * static_cast<std::size_t>(encoder.width()));
    encoder.run(inputs, out);
    return out;
  }
  static std::string message_of(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }

  test::TemporaryDirectory temporary_;
  std::filesystem::path directory_ = temporary_.path();
};

TEST_F(EncoderTest, ACapIsAnErrorOrSmallerBatchesAsTheCallerChooses) {
  const auto inputs = sequences(90);
  TextEncoder whole = TextEncoder::open(
      directory_, {.batch_tokens = 1000, .session = {.threads = 1, .outputs = {"embedding"}}});
  const std::vector<float> expected = embed(whole, inputs);
  const MemoryBytes all = whole.memory_bytes(1000);
  // What one row takes, scratch above all, depends on the loop orders that the machine's rates choose.
  const MemoryBytes one =
      TextEncoder::open(directory_, {.batch_tokens = 1,
                                     .batch_sequences = 1,
                                     .session = {.threads = 1, .outputs = {"embedding"}}})
          .memory_bytes(1);
  ASSERT_LT(one.arena, all.arena);
  for (const std::size_t part : {2U, 3U}) {
    EncoderOptions options{.batch_tokens = 1000,
                           .session = {.threads = 1, .outputs = {"embedding"}}};
    options.session.memory_cap_bytes = all.weights() + one.arena + (all.arena - one.arena) / part;
    EXPECT_THAT(message_of([&] {
                  embed(*std::make_unique<TextEncoder>(TextEncoder::open(directory_, options)),
                        inputs);
                }),
                HasSubstr("expected at most memory_cap_bytes"));
    options.split_to_cap = true;
    TextEncoder split = TextEncoder::open(directory_, options);
    EXPECT_LT(split.options().batch_tokens, 1000);
    EXPECT_EQ(embed(split, inputs), expected);
    split.trim();
    EXPECT_EQ(embed(split, inputs), expected);
  }
  EncoderOptions tight{.session = {.threads = 1, .outputs = {"embedding"}}};
  tight.split_to_cap = true;
  tight.session.memory_cap_bytes = all.weights() + 100;
  EXPECT_THAT(message_of([&] { TextEncoder::open(directory_, tight); }),
              HasSubstr("max_rows 1, max_sequences 1 take"));
}

TEST_F(EncoderTest, APlanBesideACapAsksForNoMoreThanThePlanIsFor) {
  EncoderOptions options{
      .batch_tokens = 4, .batch_sequences = 1, .session = {.threads = 1, .outputs = {"embedding"}}};
  TextEncoder made = TextEncoder::open(directory_, options);
  made.report(4, 1);
  options.session.plan = std::make_shared<const Plan>(made.plan());
  options.session.memory_cap_bytes = 10 * made.memory_bytes(4).total();
  options.split_to_cap = true;
  EXPECT_EQ(TextEncoder::open(directory_, options).longest(), 4);
}

TEST_F(EncoderTest, TheLongestTextWithinACapCountsOnBlocksOfQueries) {
  SKIP_UNLESS_SUPPORTED(Isa::avx2);
  const models::Package package =
      models::open_package(TESSERA_SOURCE_DIR "/tests/golden/data/modernbert-model");
  EncoderOptions options{.batch_tokens = 1,
                         .batch_sequences = 1,
                         .model = {.isa = Isa::avx2},
                         .session = {.threads = 1, .outputs = {"last_hidden_state"}}};
  options.session.least_memory = false;
  options.session.memory_cap_bytes = memory_bytes(package, options, 3000).total();
  const Index usual = longest_within_cap(package, options, 100000);
  options.session.least_memory.reset();
  const Index longest = longest_within_cap(package, options, 100000);
  EXPECT_LT(5 * usual, 4 * longest);
  EXPECT_LE(memory_bytes(package, options, longest).total(), options.session.memory_cap_bytes);
}

// A text that the cap does not hold is one text's problem; the longest that it holds is as promised.
TEST_F(EncoderTest, TheLongestTextIsWithinTheCap) {
  EncoderOptions options{.batch_tokens = 4, .session = {.threads = 1, .outputs = {"embedding"}}};
  options.split_to_cap = true;
  TextEncoder whole = TextEncoder::open(directory_, options);
  EXPECT_EQ(whole.longest(), 24);  // the position table
  const auto sequence = [](Index tokens) {
    TokenSequence result;
    result.ids.assign(static_cast<std::size_t>(tokens), 7);
    return result;
  };
  for (const Index tokens : {4, 9, 17, 23, 24}) {
    options.session.memory_cap_bytes = whole.memory_bytes(tokens).total();
    TextEncoder capped = TextEncoder::open(directory_, options);
    EXPECT_EQ(capped.options().batch_tokens, 4);
    EXPECT_GE(capped.longest(), tokens);
    EXPECT_LE(capped.memory_bytes(capped.longest()).total(), options.session.memory_cap_bytes);
    const std::vector<TokenSequence> taken{sequence(3), sequence(capped.longest())};
    EXPECT_EQ(embed(capped, taken), embed(whole, taken));
    if (capped.longest() == 24) continue;
    EXPECT_GT(capped.memory_bytes(capped.longest() + 1).total(), options.session.memory_cap_bytes);
    const std::vector<TokenSequence> refused{sequence(3), sequence(capped.longest() + 1)};
    EXPECT_THAT(message_of([&] { embed(capped, refused); }),
                HasSubstr(fmt::format("the text has {} tokens, expected at most {}, as fit",
                                      capped.longest() + 1, capped.longest())));
  }
}

// What is promised is for the longest text that is not cut, also where no table ends the positions.
TEST_F(EncoderTest, ThePromiseIsForTheLongestTextThatIsNotCut) {
  const auto package = models::open_package(std::filesystem::path(TESSERA_SOURCE_DIR) /
                                            "tests/golden/data/modernbert-model-v5config");
  ASSERT_EQ(package.max_tokens, 96);
  const EncoderOptions options{.batch_tokens = 8,
                               .session = {.threads = 1, .outputs = {"embedding"}}};
  EXPECT_THAT(
      describe(package, options).as_json(),
      HasSubstr(fmt::format("\"arena_bytes\": {}", memory_bytes(package, options, 96).arena)));
}

// With the weights' pages gone, whoever reads one is ended by SIGBUS.
TEST_F(EncoderTest, ThePromiseIsTheSessionsAndReadsNoWeights) {
  const EncoderOptions options{.session = {.threads = 1, .outputs = {"embedding"}}};
  MemoryBytes taken;
  std::size_t parameters = 0;
  {
    const auto package = models::open_package(directory_);
    const auto model =
        Model::create(package.program, package.checkpoint, {.outputs = options.session.outputs});
    SessionOptions session = options.session;
    session.max_rows = options.batch_tokens;
    session.max_sequences = options.batch_sequences;
    taken = {.weights_packed = model->packed_bytes(),
             .weights_mapped = model->mapped_bytes(),
             .arena = Session::create(model, session)->memory_bytes()};
    parameters = model->parameter_count();
  }
  const auto package = models::open_package(directory_);
  const std::filesystem::path file = directory_ / "model.safetensors";
  std::uint64_t header = 0;
  std::ifstream(file, std::ios::binary).read(reinterpret_cast<char*>(&header), sizeof header);
  ASSERT_GT(std::filesystem::file_size(file), header + 2 * 4096);
  std::filesystem::resize_file(file, sizeof header + header);
  EXPECT_EQ(memory_bytes(package, options, 24), taken);
  const std::string facts = describe(package, options).as_json();
  EXPECT_THAT(facts,
              HasSubstr(fmt::format("\"weights_packed_bytes\": {}, ", taken.weights_packed)));
  EXPECT_THAT(facts,
              HasSubstr(fmt::format("\"weights_mapped_bytes\": {}, ", taken.weights_mapped)));
  EXPECT_THAT(facts, HasSubstr(fmt::format("\"arena_bytes\": {}, ", taken.arena)));
  EXPECT_THAT(facts, HasSubstr(fmt::format("\"parameters\": {}, ", parameters)));
}

TEST_F(EncoderTest, ResultsDoNotDependOnBatchesOrEarlierRuns) {
  const auto inputs = sequences(90);
  TextEncoder reference =
      TextEncoder::open(directory_, {.session = {.threads = 1, .outputs = {"embedding"}}});
  const std::vector<float> expected = embed(reference, inputs);
  for (const Index budget : {1, 5, 100, 1000}) {
    TextEncoder encoder =
        TextEncoder::open(directory_, {.batch_tokens = budget,
                                       .batch_sequences = 7,
                                       .session = {.threads = 2, .outputs = {"embedding"}}});
    const std::vector<TokenSequence> few(inputs.begin(), inputs.begin() + 2);
    const std::vector<float> before = embed(encoder, few);  // a small arena, then the whole budget
    EXPECT_EQ(embed(encoder, inputs), expected) << budget;
    EXPECT_EQ(embed(encoder, few), before);
    EXPECT_EQ(embed(encoder, {}), std::vector<float>{});
  }
}

TEST_F(EncoderTest, SinksGetTheRowsOfTheirSequence) {
  const auto inputs = sequences(30);
  TextEncoder encoder = TextEncoder::open(
      directory_,
      {.batch_tokens = 40, .session = {.outputs = {"last_hidden_state", "pooler_output"}}});
  EXPECT_TRUE(encoder.is_per_token(0));
  EXPECT_FALSE(encoder.is_per_token(1));
  std::vector<int> calls(inputs.size(), 0);
  std::size_t last = 0;
  encoder.run(
      inputs,
      [&](std::size_t index, Results results) {
        ++calls[index];
        ASSERT_EQ(results.size(), 2U);
        EXPECT_EQ(results[0].rows, inputs[index].size());
        EXPECT_EQ(results[0].cols, 16);
        EXPECT_EQ(results[1].rows, 1);
      },
      [&](std::size_t done, std::size_t total) {
        EXPECT_GT(done, last);
        EXPECT_EQ(total, inputs.size());
        last = done;
      });
  EXPECT_EQ(last, inputs.size());
  EXPECT_EQ(calls, std::vector<int>(inputs.size(), 1));
}

TEST_F(EncoderTest, ExplicitPositionsAndTypesMixWithDefaultOnes) {
  TextEncoder encoder = TextEncoder::open(directory_, {.session = {.outputs = {"embedding"}}});
  std::vector<TokenSequence> plain = sequences(6), mixed = plain;
  for (std::size_t i = 0; i < mixed.size(); i += 2) {
    mixed[i].types.assign(mixed[i].ids.size(), 0);
    for (std::size_t t = 0; t < mixed[i].ids.size(); ++t) {
      mixed[i].positions.push_back(static_cast<std::int32_t>(t));
      mixed[i].columns.push_back(static_cast<std::int32_t>(t));
    }
  }
  EXPECT_EQ(embed(encoder, mixed), embed(encoder, plain));
}

TEST_F(EncoderTest, WrongInputNamesTheSequence) {
  TextEncoder encoder = TextEncoder::open(directory_, {.session = {.outputs = {"embedding"}}});
  auto inputs = sequences(3);
  inputs[2].ids.assign(25, 1);
  EXPECT_THAT(message_of([&] { embed(encoder, inputs); }),
              HasSubstr("sequence 2: got 25 tokens, expected at most 24"));
  inputs[2].ids.clear();
  EXPECT_THAT(message_of([&] { embed(encoder, inputs); }),
              HasSubstr("sequence 2: got no token ids"));
  inputs[2].ids = {1, -1};
  EXPECT_THAT(message_of([&] { embed(encoder, inputs); }), HasSubstr("token id 1 is -1"));
  inputs[2].ids = {1, 2};
  inputs[2].types = {0};
  EXPECT_THAT(message_of([&] { embed(encoder, inputs); }),
              HasSubstr("got 1 values for 2 token ids"));
  inputs[2].types = {0, 2};
  EXPECT_THAT(message_of([&] { embed(encoder, inputs); }),
              HasSubstr("type id 1 is 2, expected 0 to 1"));
}

TEST_F(EncoderTest, WrongOptionsAreRefused) {
  EXPECT_THAT(
      message_of([&] { TextEncoder::open(directory_, {.session = {.outputs = {"logits"}}}); }),
      HasSubstr("output: got \"logits\", expected one of "));
  EXPECT_THAT(message_of([&] {
                TextEncoder::open(directory_,
                                  {.batch_tokens = 0, .session = {.outputs = {"embedding"}}});
              }),
              HasSubstr("batch_tokens 0"));
}

}  // namespace
}  // namespace tessera
