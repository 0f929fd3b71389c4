// SPDX-License-Identifier: Apache-2.0
#include "models/package.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "models/registry.hpp"
#include "models/sentence/embedding.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/log.hpp"

namespace tessera::models {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";

void check_directory(const fs::path& directory) {
  if (directory_exists(directory)) return;
  throw Error(ErrorCode::not_found,
              fmt::format("{}: {}, expected the directory of a checkpoint", directory.string(),
                          path_exists(directory) ? "not a directory" : "no such directory"));
}

std::string known_model_types() {
  std::string text;
  for (const Family& family : families()) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", family.model_type);
  }
  return text;
}

/// By model_type; old files that lack it are known by their class.
const Family& choose_family(const Config& config) {
  if (config.has("model_type")) {
    const Family* family = find_family(config.string("model_type", ""));
    if (family == nullptr) config.unsupported("model_type", "one of " + known_model_types());
    return *family;
  }
  for (const std::string& name : config.strings("architectures")) {
    if (const Family* family = find_family_of_class(name)) return *family;
  }
  config.wrong("model_type", "one of " + known_model_types());
}

/// The class that the caller names; else the one that config.json names. sentence-transformers
/// takes the class without head whatever config.json says (all-mpnet-base-v2 says MPNetForMaskedLM
/// and has no such head), and so does a config.json that names none.
const ModelClass& choose_class(const Config& config, const Family& family,
                               const SentenceFiles& files, const PackageOptions& options) {
  if (!options.architecture.empty()) {
    const ModelClass* asked = family.find(options.architecture);
    if (asked != nullptr) return *asked;
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: class {} was asked for with model_type \"{}\", expected one of {}",
                            config.name(), options.architecture, family.model_type,
                            family.class_names(", ")));
  }
  const bool features_only = files.has_modules && files.transformer_task == "feature-extraction";
  const std::vector<std::string> names = config.strings("architectures");
  if (features_only || names.empty()) return family.classes.front();
  const ModelClass* named = family.find(names.front());
  if (named == nullptr) config.unsupported("architectures", "one of " + family.class_names(", "));
  return *named;
}

void open_tokenizer(const fs::path& directory, Package& package) {
  const TokenSpec* tokens = package.program.tokens();
  if (tokens == nullptr) {
    package.tokenizer_problem =
        fmt::format("{}: the model takes images, not texts", directory.string());
    return;
  }
  if (!text::directory_has_tokenizer(directory)) {
    package.tokenizer_problem = fmt::format("{}: no tokenizer files", directory.string());
    return;
  }
  try {
    package.tokenizer = text::Tokenizer::from_directory(directory);
  } catch (const Error& error) {
    package.tokenizer_problem = error.what();
    return;
  }
  const auto needed = static_cast<Index>(package.tokenizer->vocab_size());
  const Index rows = tokens->vocab_size;
  if (needed > rows) {
    log(LogLevel::warning,
        fmt::format("tokenizer: ids up to {}, but config.json vocab_size={}: texts with the ids "
                    "above that will be refused",
                    needed - 1, rows));
  }
}

/// max_seq_length takes the place of the tokenizer's own limit, as the reference's Transformer
/// passes it to the tokenizer (all-MiniLM-L6-v2: 256, though its tokenizer.json says 128).
Index longest_sequence(const Package& package, const SentenceFiles& files) {
  if (const ImageSpec* images = package.program.images()) return images->native_rows();
  const Index positions = package.program.tokens()->max_tokens;
  if (files.max_seq_length) return std::min(positions, *files.max_seq_length);
  if (!package.tokenizer) return positions;
  const std::optional<std::size_t> limit = package.tokenizer->max_length();
  if (!limit) return positions;
  return static_cast<Index>(std::min(static_cast<std::size_t>(positions), *limit));
}

}  // namespace

Package open_package(const fs::path& directory, const PackageOptions& options) {
  check_directory(directory);
  SentenceFiles files = read_sentence_files(directory);
  const fs::path transformer = directory / files.transformer_path;
  const Config config = Config::read(transformer / kConfig, kConfig);
  const Family& family = choose_family(config);
  const ModelClass& model_class = choose_class(config, family, files, options);

  Package package;
  package.directory = directory;
  package.model_type = family.model_type;
  package.architecture = family.name_of(model_class);
  package.task = model_class.task;
  package.embedding_from_files = files.has_modules;
  package.prompts = files.prompts;
  package.default_prompt_name = files.default_prompt_name;
  package.lower_case_first = files.lower_case_first;

  auto checkpoint = std::make_shared<Checkpoint>(Checkpoint::open(transformer));
  const WeightMap weights(*checkpoint, family.model_type, family.base_prefix, kConfig);
  Builder builder(package.program, weights);
  BuildContext context{.config = config,
                       .builder = builder,
                       .package = package,
                       .prefix = family.base_prefix,
                       .tower = options.tower};
  const ValueId last_hidden_state = family.build(context);

  if (package.program.find_output("embedding") == kNone) {
    if (!files.has_modules) files = plain_transformer_modules(std::move(files));
    merge_module_weights(directory, files, *checkpoint);
    add_embedding(directory, files, *checkpoint, last_hidden_state, package);
  }
  check(package.program);
  package.checkpoint = std::move(checkpoint);

  open_tokenizer(transformer, package);
  package.max_tokens = longest_sequence(package, files);
  return package;
}

}  // namespace tessera::models
