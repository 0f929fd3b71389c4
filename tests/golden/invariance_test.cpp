// SPDX-License-Identifier: Apache-2.0
//
// A sequence's result does not depend on its neighbours, its place in the batch or the threads: in
// mixed batches, at 1 and 2 threads, it has the bits of the result that it has alone. On random
// tiny models of every family (those of the golden cases), with random ids and lengths.
#include <algorithm>
#include <cctype>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "models/package.hpp"
#include "runtime/session/session.hpp"
#include "tests/golden/stored.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera::test {
namespace {

using Sequence = std::vector<std::int32_t>;

/// One output of one sequence, row after row.
using Rows = std::vector<float>;

Sequence random_sequence(const TokenSpec& tokens, Random& random) {
  const Index longest = std::min<Index>(tokens.max_tokens, 70);
  // Short ones and those around a tile's height are what tiling can get wrong.
  const Index length =
      random.integer(0, 3) == 0 ? random.integer(1, 3) : random.integer(1, longest);
  Sequence ids;
  for (Index t = 0; t < length; ++t) {
    ids.push_back(static_cast<std::int32_t>(random.integer(0, tokens.vocab_size - 1)));
  }
  return ids;
}

/// results[s][o]: output o of sequence s.
std::vector<std::vector<Rows>> run(const std::shared_ptr<const Model>& model,
                                   const std::vector<Sequence>& sequences, int threads) {
  Sequence ids;
  std::vector<std::int32_t> offsets{0};
  for (const Sequence& sequence : sequences) {
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    offsets.push_back(static_cast<std::int32_t>(ids.size()));
  }
  const auto session = Session::create(model, {.max_rows = std::ssize(ids),
                                               .max_sequences = std::ssize(sequences),
                                               .threads = threads,
                                               .outputs = {}});
  session->run({.ids = ids, .types = {}, .offsets = offsets});
  std::vector<std::vector<Rows>> results(sequences.size());
  const Program& program = model->program();
  for (const Output& output : program.outputs) {
    const TensorView<const float> all = session->output(output.name);
    const bool per_token = program.values[static_cast<std::size_t>(output.value)].space == kTokens;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      Rows rows;
      const Index begin = per_token ? offsets[s] : static_cast<Index>(s);
      const Index end = per_token ? offsets[s + 1] : begin + 1;
      for (Index i = begin; i < end; ++i) {
        rows.insert(rows.end(), all.row(i).begin(), all.row(i).end());
      }
      results[s].push_back(std::move(rows));
    }
  }
  return results;
}

class BatchInvarianceTest : public testing::TestWithParam<std::tuple<const char*, Isa, Precision>> {
};

TEST_P(BatchInvarianceTest, ASequenceHasTheBitsThatItHasAlone) {
  const auto [name, isa, precision] = GetParam();
  if (!can_run(isa, precision)) GTEST_SKIP() << "this CPU lacks " << to_string(isa);
  const models::Package package = models::open_package(kGoldenData / name);
  const auto model = Model::create(
      package.program, package.checkpoint,
      {.isa = isa, .kernels = kernels_for(isa), .outputs = {}, .precision = precision});
  Random random{20250611};
  for (int batch = 0; batch < 4; ++batch) {
    std::vector<Sequence> sequences;
    for (Index s = random.integer(2, 9); s > 0; --s) {
      sequences.push_back(random_sequence(*package.program.tokens(), random));
    }
    std::vector<std::vector<Rows>> alone;
    for (const Sequence& sequence : sequences) alone.push_back(run(model, {sequence}, 1)[0]);
    for (const int threads : {1, 2}) {
      const auto together = run(model, sequences, threads);
      for (std::size_t s = 0; s < sequences.size(); ++s) {
        for (std::size_t o = 0; o < alone[s].size(); ++o) {
          EXPECT_TRUE(bit_identical(together[s][o], alone[s][o]))
              << "batch " << batch << ", sequence " << s << " of " << sequences[s].size()
              << " tokens, " << model->program().outputs[o].name << ", " << threads << " threads";
        }
      }
    }
  }
}

std::string name_of_case(
    const testing::TestParamInfo<std::tuple<const char*, Isa, Precision>>& info) {
  std::string name = std::string(std::get<0>(info.param)) + "_" +
                     to_string(std::get<1>(info.param)) + "_" + to_string(std::get<2>(info.param));
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(TinyModels, BatchInvarianceTest,
                         testing::Combine(testing::Values("bert-model", "bert-seqcls",
                                                          "mpnet-model", "roberta-mlm",
                                                          "distilbert-seqcls", "electra-model",
                                                          "albert-model", "deberta-v2-conv-model"),
                                          testing::ValuesIn(kAllIsas),
                                          testing::ValuesIn(kModelPrecisions)),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(
    Ternary, BatchInvarianceTest,
    testing::Combine(testing::Values("../../../models/demo/text-ternary",
                                     "../../../models/demo/text-sections-ternary"),
                     testing::ValuesIn(kAllIsas), testing::Values(Precision::s8)),
    name_of_case);

}  // namespace
}  // namespace tessera::test
