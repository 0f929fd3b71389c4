// SPDX-License-Identifier: Apache-2.0
//
// The checkpoints that ship: text to ids to embedding or logits, as their trainer computed them in
// f64 from the stored weights (models/demo/expected.json).
#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

#include "models/package.hpp"
#include "runtime/session/session.hpp"
#include "tests/support/isa.hpp"

namespace tessera::test {
namespace {

const std::filesystem::path kDemo = std::filesystem::path(TESSERA_SOURCE_DIR) / "models/demo";

struct DemoCase {
  const char* directory;
  const char* output;  ///< of the program
  const char* key;     ///< in expected.json
};

class DemoCheckpointTest : public testing::TestWithParam<std::tuple<Isa, DemoCase>> {};

TEST_P(DemoCheckpointTest, TextsGiveTheTrainersNumbers) {
  const auto& [isa, demo] = GetParam();
  SKIP_UNLESS_SUPPORTED(isa);
  const models::Package package = models::open_package(kDemo / demo.directory);
  ASSERT_TRUE(package.tokenizer.has_value()) << package.tokenizer_problem;
  const auto model =
      Model::create(package.program, package.checkpoint, {.isa = isa, .outputs = {demo.output}});
  const auto session = Session::create(
      model, {.max_rows = package.max_tokens, .max_sequences = 1, .threads = 1, .outputs = {}});
  simdjson::dom::parser parser;
  const simdjson::dom::object all = parser.load((kDemo / "expected.json").string());
  int texts = 0;
  for (const simdjson::dom::object text : simdjson::dom::array(all[demo.directory])) {
    const text::Encoding encoding =
        package.tokenizer->encode(std::string_view(text["text"]),
                                  {.max_length = static_cast<std::size_t>(package.max_tokens)});
    std::vector<std::int32_t> ids;
    for (const std::int64_t id : simdjson::dom::array(text["ids"])) {
      ids.push_back(static_cast<std::int32_t>(id));
    }
    ASSERT_EQ(encoding.ids, ids);
    const std::vector<std::int32_t> offsets{0, static_cast<std::int32_t>(ids.size())};
    session->run({.ids = ids, .types = {}, .offsets = offsets});
    const std::span<const float> got = session->output(demo.output).row(0);
    const simdjson::dom::array expected = text[demo.key];
    ASSERT_EQ(got.size(), expected.size());
    std::size_t i = 0;
    for (const double value : expected) {
      // As everywhere against the reference: 1e-4; logits reach 10, embeddings 0.3.
      EXPECT_NEAR(static_cast<double>(got[i]), value, 1e-4 * std::max(1.0, std::abs(value)));
      ++i;
    }
    ++texts;
  }
  EXPECT_GE(texts, 8);
}

INSTANTIATE_TEST_SUITE_P(
    AllIsas, DemoCheckpointTest,
    testing::Combine(testing::ValuesIn(kAllIsas),
                     testing::Values(DemoCase{"text", "embedding", "embedding"},
                                     DemoCase{"text-sections", "logits", "logits"})),
    [](const auto& p) {
      std::string name =
          std::string(to_string(std::get<0>(p.param))) + "_" + std::get<1>(p.param).directory;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace tessera::test
