// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/static_embedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/builder.hpp"
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

/// The integers of "mapping" (tokens): the row of the table that stands for each token.
std::vector<std::int32_t> read_mapping(const Checkpoint& checkpoint, std::string_view architecture,
                                       Index stored_rows) {
  const StoredTensor& mapping = find_table(checkpoint, architecture, {"mapping"}, 1);
  const auto size = static_cast<std::size_t>(bits_of(mapping.type) / 8);
  if (mapping.type != StoredType::i32 && mapping.type != StoredType::i64) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: tensor \"mapping\" is stored as {}, expected I32 or I64",
                            architecture, to_string(mapping.type)));
  }
  std::vector<std::byte> stored(mapping.bytes);
  checkpoint.read({mapping.data, mapping.bytes}, stored.data());
  std::vector<std::int32_t> rows;
  for (std::size_t t = 0; t < stored.size() / size; ++t) {
    std::int32_t narrow = 0;
    std::int64_t row = 0;
    if (mapping.type == StoredType::i64) {
      std::memcpy(&row, stored.data() + t * size, size);
    } else {
      std::memcpy(&narrow, stored.data() + t * size, size);
      row = narrow;
    }
    if (row < 0 || row >= stored_rows) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}: tensor \"mapping\" has {} at token {}, expected a row of the "
                              "table, 0 to {}",
                              architecture, row, t, stored_rows - 1));
    }
    rows.push_back(static_cast<std::int32_t>(row));
  }
  return rows;
}

/// What model2vec has beside its table: a row and a weight of each token, of a vocabulary that was made
/// smaller (vocabulary_quantization), and tables of I8 and F64.
Builder::PickedRows picked_rows(const Checkpoint& checkpoint, std::string_view architecture,
                                const StoredTensor& table) {
  Builder::PickedRows picked{.tensor = table.name,
                             .stored_rows = static_cast<Index>(table.shape[0]),
                             .gather = {},
                             .row_scale = {},
                             .rows = static_cast<Index>(table.shape[0])};
  if (checkpoint.find("mapping") != nullptr) {
    picked.gather = read_mapping(checkpoint, architecture, picked.stored_rows);
    picked.rows = std::ssize(picked.gather);
  }
  if (checkpoint.find("weights") == nullptr) return picked;
  const StoredTensor& weights = find_table(checkpoint, architecture, {"weights"}, 1);
  if (weights.shape[0] != picked.rows) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: tensor \"weights\" has shape {}, expected ({}), one per token",
                            architecture, shape_to_string(weights.shape), picked.rows));
  }
  if (!weight_dtype(weights.type) && weights.type != StoredType::f64) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: tensor \"weights\" is stored as {}, expected F64, F32, F16 or BF16",
                    architecture, to_string(weights.type)));
  }
  picked.row_scale = weights.name;
  return picked;
}

/// Of tables whose elements are numbers. sentence-transformers takes integers only times weights.
void require_numbers(const StoredTensor& table, std::string_view architecture, bool is_model2vec,
                     bool is_picked, bool is_weighted) {
  if (!is_model2vec && is_picked && table.name == "embedding.weight") {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: tensors \"mapping\" and \"weights\" beside \"embedding.weight\", "
                            "expected them beside model2vec's \"embeddings\"",
                            architecture));
  }
  const bool is_integer = table.type == StoredType::i8;
  if (weight_dtype(table.type) || table.type == StoredType::f64) return;
  if (is_integer && (is_model2vec || is_weighted)) return;
  throw Error(ErrorCode::unsupported_model,
              fmt::format("{}: tensor \"{}\" is stored as {}, expected F64, F32, F16 or BF16{}",
                          architecture, table.name, to_string(table.type),
                          is_integer ? "; the class StaticModel reads it as model2vec does" : ""));
}

void require_architecture(const PackageOptions& options, const Package& package) {
  if (options.architecture.empty() || options.architecture == package.architecture) return;
  throw Error(ErrorCode::unsupported_model,
              fmt::format("class: got {}, expected {}, what {} is", options.architecture,
                          package.architecture, package.transformer_directory.string()));
}

void add_table(std::initializer_list<const char*> names, const Checkpoint& checkpoint,
               bool is_model2vec, Package& package) {
  const std::string& architecture = package.architecture;
  const StoredTensor& table = find_table(checkpoint, architecture, names, 2);
  const WeightMap weights(checkpoint, architecture, "", "");
  Builder b(package.program, weights);
  Builder::PickedRows picked = picked_rows(checkpoint, architecture, table);
  const bool is_weighted = !picked.row_scale.empty(), is_mapped = !picked.gather.empty();
  require_numbers(table, architecture, is_model2vec, is_weighted || is_mapped, is_weighted);
  const auto width = static_cast<Index>(table.shape[1]);
  package.program.inputs = TokenSpec{.vocab_size = picked.rows, .max_tokens = kAnyLength};
  package.hidden = width;
  const ValueId x = b.picked_embedding("embeddings", std::move(picked), width);  // (ΣT,D)
  b.output("embedding", b.pool("embedding.mean", x, Pooling::mean));             // (S,D)
  package.embedding_description =
      fmt::format("mean of the {}rows {}", is_weighted ? "weighted " : "",
                  is_mapped ? "that the tokens share" : "of the tokens");
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
    return add_table({"embedding.weight", "embeddings"}, checkpoint, false, package);
  add_table({"embeddings"}, checkpoint, true, package);
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
