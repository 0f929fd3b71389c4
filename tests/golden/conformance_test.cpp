// SPDX-License-Identifier: Apache-2.0
//
// Every case of tests/golden/data, at every ISA level: all runs, all outputs, against what Hugging
// Face transformers computed. The data are tiny random checkpoints in the published layout; each
// folder's case.json says what the case is and which class and version computed it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "tests/golden/compare_run.hpp"
#include "tests/support/isa.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;

struct StoredRun {
  std::string name, inputs, outputs, call;
  std::string embeddings;  // what comes after the model's outputs; empty: nothing
};

struct Case {
  std::string model_class;
  std::vector<StoredRun> runs;
};

Case read_case(const fs::path& directory) {
  simdjson::dom::parser parser;
  const simdjson::dom::element root = parser.load((directory / "case.json").string());
  const auto text = [](const simdjson::dom::element& e, const char* key) {
    return std::string(std::string_view(e[key]));
  };
  Case result{.model_class = text(root, "model_class"), .runs = {}};
  constexpr std::string_view kTimm = "timm ";
  if (result.model_class.starts_with(kTimm)) result.model_class.erase(0, kTimm.size());
  for (const simdjson::dom::element run : simdjson::dom::array(root["runs"])) {
    const auto optional = [&](const char* key) {
      return run[key].error() ? std::string() : text(run, key);
    };
    result.runs.push_back({text(run, "name"), text(run, "inputs"), text(run, "outputs"),
                           optional("call"), optional("embeddings")});
  }
  return result;
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGoldenData)) {
    if (fs::exists(entry.path() / "case.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Worst distance per (model_type, ISA, precision) of this process, printed at its end.
class Summary : public testing::Environment {
 public:
  using Key = std::tuple<std::string, Isa, Precision>;
  static std::map<Key, double>& worst() {
    static std::map<Key, double> table;
    return table;
  }
  void TearDown() override {
    for (const auto& [key, value] : worst()) {
      const auto& [family, isa, precision] = key;
      std::printf("[  WORST   ] %-12s %-12s %-4s %s %.2e\n", family.c_str(), to_string(isa),
                  to_string(precision), precision == Precision::f32 ? "|d|" : "1-cos", value);
    }
  }
};
const testing::Environment* const kSummary = testing::AddGlobalTestEnvironment(new Summary);

class ConformanceTest : public testing::TestWithParam<std::tuple<std::string, Isa>> {
 protected:
  static fs::path directory() { return kGoldenData / std::get<0>(GetParam()); }
  static Isa isa() { return std::get<1>(GetParam()); }

  /// A logit is exp(scale)·⟨a, b⟩ + bias of vectors of length 1: where each is off by an angle θ, it is
  /// off by up to exp(scale)·2 sin θ, however near 0 it is itself.
  static void expect_logits(const std::vector<float>& logits, const std::vector<float>& expected,
                            const models::Similarity& similarity, const Measure& measure) {
    const double sine = std::sqrt(2.0 * measure.most);  // 1 − cos θ = most
    const double most = measure.precision == Precision::f32
                            ? measure.most
                            : 2.0 * sine * std::exp(static_cast<double>(similarity.logit_scale));
    EXPECT_LE(distance(logits, expected), most) << "logits";
  }

  /// Compares every run of a model with two towers: each tower's outputs, and the logits between.
  static void compare_towers(const Case& golden, const Measure& measure) {
    const auto open = [&](models::Tower tower) {
      return models::open_package(directory(),
                                  {.tower = tower, .architecture = golden.model_class});
    };
    const models::Package text = open(models::Tower::text), image = open(models::Tower::image);
    ASSERT_TRUE(text.similarity.has_value());
    Runner texts(text, isa(), 1, measure.precision), images(image, isa(), 1, measure.precision);
    for (const StoredRun& run : golden.runs) {
      const SafetensorsFile stored = SafetensorsFile::open(directory() / run.inputs);
      const SafetensorsFile expected = SafetensorsFile::open(directory() / run.outputs);
      const StoredInputs inputs = read_inputs(stored);
      const models::ReferenceBatch batch = texts.batch(inputs);
      const Session& of_texts = texts.run(batch);
      const Session& of_images = images.run(read_images(stored), false);
      const TensorView<const float> t = of_texts.output("embedding"),
                                    i = of_images.output("embedding");
      std::vector<float> logits(static_cast<std::size_t>(i.rows * t.rows)), transposed(logits);
      models::logits_per_image(*text.similarity, i, t, logits);
      for (std::size_t e = 0; e < logits.size(); ++e) {
        const auto columns = static_cast<std::size_t>(t.rows),
                   rows = static_cast<std::size_t>(i.rows);
        transposed[e % columns * rows + e / columns] = logits[e];
      }
      for (const StoredTensor& tensor : expected.tensors()) {
        const std::vector<float> values = elements_of<float>(tensor);
        constexpr std::string_view kText = "text_model_output.", kImage = "vision_model_output.";
        double d = HUGE_VAL;
        const bool by_image = tensor.name == "logits_per_image";
        if (by_image || tensor.name == "logits_per_text") {
          expect_logits(by_image ? logits : transposed, values, *text.similarity, measure);
          continue;
        }
        if (tensor.name.starts_with(kImage) || tensor.name == "image_embeds") {
          const bool whole = tensor.name == "image_embeds";
          d = output_distance(of_images, tensor.name.substr(whole ? 0 : kImage.size()), values,
                              measure);
        } else {
          const bool whole = tensor.name == "text_embeds";
          d = output_distance(of_texts, batch, tensor.name.substr(whole ? 0 : kText.size()), values,
                              inputs.tokens, measure);
        }
        EXPECT_LE(d, measure.most_for(tensor)) << "run " << run.name << ", output " << tensor.name;
        double& family = Summary::worst()[{text.model_type, isa(), measure.precision}];
        family = std::max(family, d);
      }
    }
  }

  /// Compares every run of the case with what `package` computes.
  static void compare(const Case& golden, const models::Package& package, const Measure& asked) {
    const Measure measure = measure_of(package.model_type, asked);
    Runner runner(package, isa(), 1, measure.precision);
    double worst = 0.0;
    for (const StoredRun& run : golden.runs) {
      const SafetensorsFile stored = SafetensorsFile::open(directory() / run.inputs);
      const SafetensorsFile expected = SafetensorsFile::open(directory() / run.outputs);
      const auto compare_all = [&](auto&& distance_of) {
        for (const StoredTensor& tensor : expected.tensors()) {
          ASSERT_TRUE(runner.has(tensor.name)) << package.architecture << " lacks " << tensor.name;
          const double d = distance_of(tensor);
          EXPECT_LE(d, measure.most_for(tensor))
              << "run " << run.name << ", output " << tensor.name;
          worst = std::max(worst, d);
        }
      };
      if (runner.takes_images()) {
        const bool asks = run.call.find("interpolate_pos_encoding=True") != std::string::npos;
        const Session& session = runner.run(read_images(stored), asks);
        compare_all([&](const StoredTensor& tensor) {
          return output_distance(session, tensor.name, rows_of<float>(tensor), measure);
        });
        continue;
      }
      const StoredInputs inputs = read_inputs(stored);
      const models::ReferenceBatch batch = runner.batch(inputs);
      const Session& session = runner.run(batch);
      compare_all([&](const StoredTensor& tensor) {
        return output_distance(session, batch, tensor.name, elements_of<float>(tensor),
                               inputs.tokens, measure);
      });
      if (run.embeddings.empty()) continue;
      const SafetensorsFile after = SafetensorsFile::open(directory() / run.embeddings);
      std::size_t compared = 0;
      // Late interaction (late_interaction_test.cpp) as the class without its projection: no vectors.
      const bool lacks_vectors = after.find("query_vectors") && !runner.has(models::kTokenVectors);
      for (const StoredTensor& tensor : after.tensors()) {
        const bool is_main = tensor.name == "sentence_embedding" || tensor.name == "dense_vecs";
        const std::string name = is_main                          ? "embedding"
                                 : tensor.name == "query_vectors" ? models::kTokenVectors
                                                                  : tensor.name;
        // colbert_vecs has no row for the first token, and m3_test.cpp.
        if (!runner.has(name) || name == "colbert_vecs") continue;
        const double d = output_distance(session, batch, name, elements_of<float>(tensor),
                                         inputs.tokens, measure);
        EXPECT_LE(d, measure.most) << "run " << run.name << ", " << name;
        worst = std::max(worst, d);
        ++compared;
      }
      EXPECT_TRUE(compared > 0 || lacks_vectors);
    }
    RecordProperty("worst", fmt::format("{:.3e}", worst));
    double& family = Summary::worst()[{package.model_type, isa(), measure.precision}];
    family = std::max(family, worst);
  }

  /// Small random checkpoints whose layers are gated or whose sums grow from layer to layer amplify the
  /// rounding of bf16 and of whole numbers: the most that was seen of each family, and a half more.
  static Measure measure_of(const std::string& model_type, Measure measure) {
    if (measure.precision == Precision::f32) return measure;
    static const std::map<std::string, double> of_bf16{{"modernbert", 7.5e-3},
                                                       {"eurobert", 1.8e-3},
                                                       {"new", 1.7e-3},
                                                       {"nomic_bert", 1.7e-3},
                                                       {"jina_bert", 9e-4}};
    static const std::map<std::string, double> of_int8{
        {"modernbert", 4.4e-2}, {"distilbert", 3.6e-2}, {"nomic_bert", 2.8e-2},
        {"new", 1.7e-2},        {"eurobert", 1.5e-2},   {"swinv2", 1.3e-2},
        {"jina_bert", 1.3e-2},  {"mpnet", 6.5e-3},      {"electra", 6.2e-3},
        {"qwen3", 5.3e-3},      {"roberta", 5e-3},      {"dinov3_vit", 4.3e-3},
        {"deberta-v2", 3.7e-3}, {"bert", 3e-3},         {"albert", 1.9e-3},
        {"gemma3_text", 1.6e-3}};
    const auto& most = measure.precision == Precision::bf16 ? of_bf16 : of_int8;
    const auto known = most.find(model_type);
    if (known != most.end()) {
      measure.most = std::max(measure.most, known->second);
      measure.most_of_few = std::max(measure.most_of_few, known->second);
    }
    return measure;
  }

  static void compare_case(const Measure& measure) {
    const Case golden = read_case(directory());
    const models::Package package =
        models::open_package(directory(), {.architecture = golden.model_class});
    if (package.similarity) return compare_towers(golden, measure);
    compare(golden, package, measure);
    // A directory of a model with a head holds more than the headless class that the case is about.
    const models::Package of_config = models::open_package(directory());
    if (of_config.architecture != golden.model_class) compare(golden, of_config, measure);
  }
};

std::string case_and_isa(const testing::TestParamInfo<std::tuple<std::string, Isa>>& info) {
  std::string name = std::get<0>(info.param) + "_" + to_string(std::get<1>(info.param));
  std::replace(name.begin(), name.end(), '-', '_');
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

TEST_P(ConformanceTest, MatchesTheReference) {
  SKIP_UNLESS_SUPPORTED(isa());
  compare_case(kFp32);
}

TEST_P(ConformanceTest, RowsOfBf16HaveTheDirectionOfTheReferences) {
  if (!can_run(isa(), Precision::bf16)) GTEST_SKIP() << "this CPU lacks " << to_string(isa());
  compare_case(kBf16);
}

TEST_P(ConformanceTest, RowsOfInt8HaveTheDirectionOfTheReferences) {
  if (!can_run(isa(), Precision::s8)) GTEST_SKIP() << "this CPU lacks " << to_string(isa());
  compare_case(kInt8);
}

/// At the best level alone.
class QueriesTest : public ConformanceTest {};

/// Every output of every run, of texts.
TEST_P(QueriesTest, BlocksOfQueriesGiveTheSameBits) {
  const Case golden = read_case(directory());
  const models::Package package =
      models::open_package(directory(), {.architecture = golden.model_class});
  for (const Precision precision : kModelPrecisions) {
    if (!can_run(isa(), precision)) continue;
    Runner usual(package, isa(), 1, precision), by_queries(package, isa(), 1, precision);
    if (usual.takes_images()) GTEST_SKIP() << "no tokens";
    for (const StoredRun& run : golden.runs) {
      const SafetensorsFile stored = SafetensorsFile::open(directory() / run.inputs);
      const models::ReferenceBatch batch = usual.batch(read_inputs(stored));
      const Session &a = usual.run(batch), &b = by_queries.run(batch, true);
      for (const Output& output : package.program.outputs) {
        const TensorView<const float> x = a.output(output.name), y = b.output(output.name);
        for (Index i = 0; i < x.rows; ++i) {
          ASSERT_EQ(std::memcmp(x.row(i).data(), y.row(i).data(), x.row(i).size_bytes()), 0)
              << run.name << ", " << output.name << ", row " << i << ", " << to_string(precision);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllCases, ConformanceTest,
                         testing::Combine(testing::ValuesIn(case_names()),
                                          testing::ValuesIn(kAllIsas)),
                         case_and_isa);
INSTANTIATE_TEST_SUITE_P(AllCases, QueriesTest,
                         testing::Combine(testing::ValuesIn(case_names()),
                                          testing::Values(best_isa())),
                         case_and_isa);

}  // namespace
}  // namespace tessera::test
