// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/by_hand.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/builder.hpp"
#include "models/sentence/pooling_modes.hpp"
#include "runtime/base/error.hpp"

namespace tessera::models {
namespace {

using Kind = SentenceModule::Kind;

}  // namespace

bool is_silent(const SentenceFiles& files, bool has_embedding) {
  if (files.multi_vector || has_embedding) return false;
  return std::none_of(files.modules.begin(), files.modules.end(), [](const SentenceModule& m) {
    return m.kind == Kind::pooling || m.kind == Kind::splade_pooling;
  });
}

void set_pooling(Pooling pooling, SentenceFiles& files) {
  const auto behind_layers =
      std::find_if(files.modules.begin(), files.modules.end(),
                   [](const SentenceModule& m) { return m.kind != Kind::layer_pooling; });
  files.modules.insert(behind_layers, {.kind = Kind::pooling, .path = "", .pooling = pooling});
}

void refuse_pooling(Pooling pooling, const SentenceFiles& files, const Package& package) {
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("{}: pooling: got {}, expected none: {} says {}", package.directory.string(),
                  mode_name(pooling), files.has_modules ? "modules.json" : package.architecture,
                  files.multi_vector ? "a vector per token" : package.embedding_description));
}

void normalize_embedding(Package& package) {
  const std::int32_t found = package.program.find_output("embedding");
  if (found == kNone) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: normalize: got a {} without an embedding, expected one that has it",
                    package.directory.string(), package.architecture));
  }
  if (package.embedding_is_sparse) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: normalize: got a sparse embedding, expected a dense one",
                            package.directory.string()));
  }
  if (package.embedding_is_normalized) return;
  const WeightMap none(*package.checkpoint, "sentence-transformers", "", "");
  Builder b(package.program, none);
  ValueId& value = package.program.outputs[static_cast<std::size_t>(found)].value;
  const std::string of = package.program.values[static_cast<std::size_t>(value)].name;
  value = b.l2_normalize(of + ".normalized", value, kNormalizeEps);
  package.embedding_is_normalized = true;
  std::string& description = package.embedding_description;
  description += description.empty() ? "normalised" : ", normalised";
}

}  // namespace tessera::models
