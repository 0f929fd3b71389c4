// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/layer_pooling.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <vector>

#include "models/builder.hpp"
#include "runtime/base/error.hpp"

namespace tessera::models {
namespace {

constexpr const char* kWeights = "layer_weights";

ValueId hidden_state(const Package& package, Index layer) {
  const std::int32_t found = package.program.find_output(fmt::format("hidden_states.{}", layer));
  if (found != kNone) return package.program.outputs[static_cast<std::size_t>(found)].value;
  throw Error(ErrorCode::unsupported_model,
              fmt::format("modules.json: WeightedLayerPooling behind a {}, which has no hidden "
                          "states, expected one that has",
                          package.architecture));
}

}  // namespace

void read_hidden_states(const Config& config, SentenceFiles& files) {
  for (const SentenceModule& module : files.modules) {
    if (module.kind != SentenceModule::Kind::layer_pooling || files.output_hidden_states) continue;
    files.output_hidden_states = config.boolean("output_hidden_states", false);
  }
}

ValueId pool_layers(const std::filesystem::path& directory, const SentenceModule& module,
                    const SentenceFiles& files, const Checkpoint& checkpoint, ValueId tokens,
                    Package& package) {
  const Config config =
      Config::read(directory / module.path / "config.json", module.path + "/config.json");
  const Index layers = package.layers;
  for (const char* key : {"embedding_dimension", "word_embedding_dimension"}) {
    if (config.has(key) && config.integer(key, 0) != package.hidden) {
      config.wrong(key, fmt::format("the hidden size {}", package.hidden));
    }
  }
  if (config.integer("num_hidden_layers", 12) != layers) {  // with the default of the reference
    config.wrong("num_hidden_layers", fmt::format("{}, the layers of the model", layers));
  }
  const Index start = config.integer("layer_start", 4);
  if (start > layers) config.wrong("layer_start", fmt::format("0 to {}, the last layer", layers));
  if (config.has(kWeights)) config.unsupported(kWeights, "none: they are a tensor");

  const WeightMap weights(checkpoint, "sentence-transformers", "", config.name());
  const std::string tensor = fmt::format("{}/{}", module.path, kWeights);
  const Dim count{
      .size = layers + 1 - start,
      .key = fmt::format("num_hidden_layers={}, layer_start={}: layers", layers, start)};
  const std::vector<float> w = weights.values(tensor, count);
  double sum = 0.0;  // Σ w
  for (const float weight : w) sum += static_cast<double>(weight);
  if (!std::isfinite(sum) || sum == 0.0) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: tensor \"{}\" is [{}], expected numbers whose sum is not 0",
                            module.path, kWeights, fmt::join(w, ", ")));
  }
  const auto describe = [&](const std::string& text) {
    std::string& all = package.embedding_description;
    all += (all.empty() ? "" : ", ") + text;
  };
  if (!*files.output_hidden_states) {  // features.get("all_layer_embeddings") is None
    describe("layers not pooled without output_hidden_states");
    return tokens;
  }
  Builder b(package.program, weights);
  ValueId total = kNone;
  for (Index i = 0; i < count.size; ++i) {
    const Index layer = start + i;
    const double factor = static_cast<double>(w[static_cast<std::size_t>(i)]) / sum;  // w_l / Σ w
    if (factor == 0.0) continue;
    const ValueId state = hidden_state(package, layer);  // (ΣT,H)
    // f·h = f/2 · (h + h)
    const ValueId term = b.add(fmt::format("embedding.layers.{}", layer), state, state,
                               static_cast<float>(factor / 2.0));
    total =
        total == kNone ? term : b.add(fmt::format("embedding.layers.to_{}", layer), total, term);
  }
  describe(fmt::format("layers {} to {} weighted", start, layers));
  return total;
}

}  // namespace tessera::models
