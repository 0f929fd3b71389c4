// SPDX-License-Identifier: Apache-2.0
// The list of weights that stay floats (`tessera quantize --min-cosine`), of every golden case of texts: tiny
// models of random weights, whose rows of int8 are further from fp32 than those of any that was trained.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "tessera/pipeline/calibration.hpp"
#include "tessera/pipeline/integer_tensors.hpp"
#include "tests/golden/stored.hpp"
#include "tests/support/random.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;

constexpr double kAsked = 0.999;

std::vector<std::string> text_cases() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGoldenData)) {
    const models::Package package = models::open_package(entry.path());
    if (package.program.tokens() != nullptr && package.routes.empty()) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<TokenSequence> random_texts(const TokenSpec& spec) {
  Random random{23};
  std::vector<TokenSequence> texts;
  for (const Index length : {Index{12}, Index{2}, Index{7}, Index{16}}) {
    TokenSequence& text = texts.emplace_back();
    for (Index t = 0; t < std::min(length, spec.max_tokens); ++t) {
      text.ids.push_back(static_cast<std::int32_t>(random.integer(5, spec.vocab_size - 1)));
    }
  }
  return texts;
}

class FloatListTest : public testing::TestWithParam<std::string> {};

TEST_P(FloatListTest, BringsEveryRowNearEnoughWhereItsFloatsAre) {
  const auto package =
      std::make_shared<const models::Package>(models::open_package(kGoldenData / GetParam()));
  const std::vector<TokenSequence> texts = random_texts(*package->program.tokens());
  const auto right = main_rows(package, texts, PrecisionOption::fp32);
  const double of_floats = worst_cosine(main_rows(package, texts, PrecisionOption::bf16), right);
  const CalibratedModel model{package, texts, right};
  const Checkpoint& own = *package->checkpoint;
  const FloatCandidates candidates{.quantized = quantized_tensors({package.get(), 1}, own)};
  const FloatChoice none = choose_floats({&model, 1}, candidates, 0.0);
  std::printf("[  COSINE  ] %-32s int8 %.5f  bf16 %.5f", GetParam().c_str(), none.with, of_floats);
  if (of_floats < kAsked) {  // as floats all of them are bf16 where the CPU has that
    std::printf("\n");
    GTEST_SKIP() << "bf16 itself leaves " << of_floats;
  }
  const FloatChoice list = choose_floats({&model, 1}, candidates, kAsked);
  std::printf("  with a list %.5f, %zu of %zu tensors floats\n", list.with, list.tensors.size(),
              candidates.quantized.size());
  EXPECT_GE(list.with, kAsked);
  EXPECT_EQ(list.without, none.with);
  EXPECT_EQ(list.tensors.empty(), none.with >= kAsked);
}

INSTANTIATE_TEST_SUITE_P(Golden, FloatListTest, testing::ValuesIn(text_cases()), [](const auto& p) {
  std::string name = p.param;
  std::replace(name.begin(), name.end(), '-', '_');
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

}  // namespace
}  // namespace tessera::test
