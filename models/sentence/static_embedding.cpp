// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/static_embedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/builder.hpp"
#include "models/json.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {
namespace {

namespace fs = std::filesystem;
using First = SentenceFiles::First;

constexpr const char* kConfig = "config.json";
constexpr const char* kModelType = "static-embedding";
constexpr const char* kModel2vecClass = "StaticModel";

/// The first of `names` that the checkpoint has, with `dims` extents of 1 or more.
const StoredTensor& find_table(const Checkpoint& checkpoint, std::string_view architecture,
                               std::initializer_list<const char*> names, std::size_t dims) {
  const char* const shape = dims == 2 ? "(tokens, width)" : "(tokens)";
  const StoredTensor* found = nullptr;
  for (const char* name : names) {
    if (found == nullptr) found = checkpoint.find(name);
  }
  if (found == nullptr) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: no tensor \"{}\" among the {} of {}, expected it with shape {}",
                            architecture, *names.begin(), checkpoint.tensors().size(),
                            checkpoint.path().string(), shape));
  }
  const bool is_empty = std::any_of(found->shape.begin(), found->shape.end(),
                                    [](auto extent) { return extent < 1 || extent > kAnyLength; });
  if (found->shape.size() != dims || is_empty) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: tensor \"{}\" has shape {}, expected {}", architecture,
                            found->name, shape_to_string(found->shape), shape));
  }
  return *found;
}

/// A vocabulary of fewer rows, and a weight per token: of model2vec's vocabulary quantization.
void refuse_quantized_vocabulary(const Checkpoint& checkpoint, std::string_view architecture) {
  for (const char* name : {"mapping", "weights"}) {
    if (checkpoint.find(name) == nullptr) continue;
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: tensor \"{}\" is of model2vec's vocabulary_quantization{}, "
                            "expected a row of \"embeddings\" per token",
                            architecture, name, json::kNotComputed));
  }
}

void require_architecture(const PackageOptions& options, const Package& package) {
  if (options.architecture.empty() || options.architecture == package.architecture) return;
  throw Error(ErrorCode::unsupported_model,
              fmt::format("class: got {}, expected {}, what {} is", options.architecture,
                          package.architecture, package.transformer_directory.string()));
}

void add_table(std::initializer_list<const char*> names, const Checkpoint& checkpoint,
               Package& package) {
  refuse_quantized_vocabulary(checkpoint, package.architecture);
  const StoredTensor& table = find_table(checkpoint, package.architecture, names, 2);
  const WeightMap weights(checkpoint, package.architecture, "", "");
  Builder b(package.program, weights);
  const Dim rows{.size = static_cast<Index>(table.shape[0]), .key = {}},
      width{.size = static_cast<Index>(table.shape[1]), .key = {}};
  package.program.inputs = TokenSpec{.vocab_size = rows.size, .max_tokens = kAnyLength};
  package.hidden = width.size;
  const ValueId x =
      b.embedding("embeddings", {{table.name, TokenInput::ids, rows}}, width);  // (ΣT,D)
  b.output("embedding", b.pool("embedding.mean", x, Pooling::mean));            // (S,D)
  package.embedding_description = "mean of the rows of the tokens";
}

void add_sparse(const Checkpoint& checkpoint, Package& package) {
  const fs::path file = package.transformer_directory / kConfig;
  if (path_exists(file)) {
    const Config config = Config::read(file, kConfig);
    if (config.has("path")) config.unsupported("path", "no path: the weights in model.safetensors");
  }
  const StoredTensor& weight = find_table(checkpoint, package.architecture, {"weight"}, 1);
  const WeightMap weights(checkpoint, package.architecture, "", "");
  Builder b(package.program, weights);
  const Dim rows{.size = static_cast<Index>(weight.shape[0]), .key = {}};
  package.program.inputs = TokenSpec{.vocab_size = rows.size, .max_tokens = kAnyLength};
  package.hidden = 1;
  const ValueId x = b.token_weights("token_weights", weight.name, rows);  // (ΣT,1)
  b.output("embedding", b.largest_by_id("embedding.weights", x, 0));      // (S,V)
  package.embedding_is_sparse = true;
  package.embedding_description = "the weight of every token that is there";
}

/// int(np.median(...)) of the tokens' lengths.
std::size_t median_length(const text::Tokenizer& tokenizer) {
  std::vector<std::size_t> lengths;
  for (std::size_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view token = tokenizer.token(static_cast<std::int32_t>(id));
    if (!token.empty()) lengths.push_back(text::count_code_points(token));
  }
  if (lengths.empty()) return 0;
  std::sort(lengths.begin(), lengths.end());
  return (lengths[(lengths.size() - 1) / 2] + lengths[lengths.size() / 2]) / 2;
}

/// The unknown token that the tokenizer's model names; Unigram has an id in its place, which the
/// reference does not look at.
std::optional<std::int32_t> named_unknown(const text::Tokenizer& tokenizer) {
  const std::string& model = tokenizer.info().model;
  if (model == "Unigram" || model == "byte-level BPE") return std::nullopt;
  return tokenizer.unk_id();
}

}  // namespace

std::optional<Config> find_model2vec(const fs::path& directory, const SentenceFiles& files,
                                     const PackageOptions& options) {
  if (files.has_modules && options.architecture != kModel2vecClass) return std::nullopt;
  const fs::path file = directory / kConfig;
  if (!path_exists(file)) return std::nullopt;
  Config config = Config::read(file, kConfig);
  if (config.string("model_type", "") != "model2vec") return std::nullopt;
  return config;
}

void add_static_embedding(const SentenceFiles& files, const Config* model2vec,
                          const PackageOptions& options, const Checkpoint& checkpoint,
                          Package& package) {
  package.model_type = kModelType;
  package.adds_special_tokens = false;
  package.strips_texts = false;
  package.embedding_from_files = true;
  const bool is_sparse = model2vec == nullptr && files.first == First::sparse_static_embedding;
  package.architecture = model2vec != nullptr ? kModel2vecClass
                         : is_sparse          ? "SparseStaticEmbedding"
                                              : "StaticEmbedding";
  require_architecture(options, package);
  if (is_sparse) return add_sparse(checkpoint, package);
  if (model2vec == nullptr)
    return add_table({"embedding.weight", "embeddings"}, checkpoint, package);
  add_table({"embeddings"}, checkpoint, package);
  package.static_model_texts.emplace();
  if (!model2vec->boolean("normalize", false)) return;
  const WeightMap weights(checkpoint, package.architecture, "", "");
  Builder b(package.program, weights);
  Output& embedding = package.program.outputs.back();
  embedding.value = b.l2_normalize("embedding.normalized", embedding.value, kNormalizeEps);
  package.embedding_is_normalized = true;
  package.embedding_description += ", normalised";
}

void open_static_tokenizer(const SentenceFiles& files, Package& package) {
  package.max_tokens = kAnyLength;
  package.max_tokens_from = "no limit";
  const bool is_sparse =
      !package.static_model_texts && files.first == First::sparse_static_embedding;
  const fs::path& directory = package.transformer_directory;
  try {
    package.tokenizer = is_sparse ? text::Tokenizer::from_directory(directory)
                                  : text::Tokenizer::from_json(directory / "tokenizer.json");
  } catch (const Error& error) {
    package.tokenizer_problem = error.what();
    return;
  }
  const auto limit = [&](std::size_t tokens, const char* from) {
    if (std::cmp_greater_equal(tokens, package.max_tokens)) return;
    package.max_tokens = static_cast<Index>(tokens);
    package.max_tokens_from = from;
  };
  if (is_sparse) {
    if (const auto tokens = package.tokenizer->max_length()) {
      limit(*tokens, "model_max_length of tokenizer_config.json");
    }
    return;
  }
  const std::optional<text::Truncation>& truncation = package.tokenizer->info().truncation;
  if (truncation) limit(truncation->max_length, "truncation of tokenizer.json");
  if (!package.static_model_texts) return;
  StaticModelTexts& reads = *package.static_model_texts;
  reads.unknown = named_unknown(*package.tokenizer);
  reads.token_length = median_length(*package.tokenizer);
  limit(reads.most_tokens, "max_length of model2vec's encode()");
}

}  // namespace tessera::models
