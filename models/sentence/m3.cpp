// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/m3.hpp"

#include <fmt/format.h>

#include <utility>

#include "models/builder.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {
namespace {

constexpr const char* kSparse = "sparse_linear";
constexpr const char* kColbert = "colbert_linear";
/// <s>, <pad>, </s> and <unk> of XLM-RoBERTa come first: no words, they have no weight.
constexpr std::int32_t kFirstWord = 4;

std::filesystem::path file_of(const std::filesystem::path& directory, const char* name) {
  return directory / fmt::format("{}.pt", name);
}

}  // namespace

bool directory_has_m3_heads(const std::filesystem::path& directory) {
  return path_exists(file_of(directory, kSparse)) || path_exists(file_of(directory, kColbert));
}

SentenceFiles m3_modules(SentenceFiles files) {
  using Kind = SentenceModule::Kind;
  files.modules = {{.kind = Kind::pooling, .path = "", .pooling = Pooling::first},
                   {.kind = Kind::normalize, .path = ""}};
  return files;
}

void add_m3_outputs(const std::filesystem::path& directory, ValueId last_hidden_state,
                    Checkpoint& checkpoint, Package& package) {
  const auto has = [&](const char* name) { return path_exists(file_of(directory, name)); };
  if (package.model_type != "xlm-roberta") {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}.pt: beside a {}, expected an XLMRobertaModel (BGE-M3)",
                            has(kSparse) ? kSparse : kColbert, package.architecture));
  }
  for (const char* name : {kSparse, kColbert}) {
    if (has(name)) checkpoint.merge(fmt::format("{}.", name), file_of(directory, name));
  }
  const WeightMap weights(checkpoint, "FlagEmbedding", "", "");
  Builder b(package.program, weights);
  std::vector<Output>& outputs = package.program.outputs;
  const Dim hidden{package.hidden, "hidden_size"};
  if (has(kSparse)) {
    ValueId x = b.linear("token_weights.linear", last_hidden_state, kSparse, {1, ""}, hidden);
    x = b.activation("token_weights", x, Activation::relu);  // (ΣT,1)
    outputs.push_back({"token_weights", x});
    outputs.push_back({"lexical_weights", b.largest_by_id("lexical_weights", x, kFirstWord)});
  }
  if (has(kColbert)) {
    const StoredTensor& weight = checkpoint.at(fmt::format("{}.weight", kColbert));
    if (weight.shape.size() != 2 || weight.shape[0] < 1 || weight.shape[1] != package.hidden) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}: tensor \"weight\" has shape {}, expected (1 or more, {})",
                              file_of(directory, kColbert).string(), shape_to_string(weight.shape),
                              package.hidden));
    }
    const auto width = static_cast<Index>(weight.shape[0]);
    const ValueId x =
        b.linear("colbert_vecs.linear", last_hidden_state, kColbert, {width, ""}, hidden);
    outputs.push_back({kM3Vectors, b.l2_normalize(kM3Vectors, x, kNormalizeEps)});
  }
}

}  // namespace tessera::models
