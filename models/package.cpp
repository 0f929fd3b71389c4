// SPDX-License-Identifier: Apache-2.0
#include "models/package.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "models/hub_cache.hpp"
#include "models/quantization.hpp"
#include "models/registry.hpp"
#include "models/sentence/answer_tokens.hpp"
#include "models/sentence/by_hand.hpp"
#include "models/sentence/dims.hpp"
#include "models/sentence/embedding.hpp"
#include "models/sentence/layer_pooling.hpp"
#include "models/sentence/m3.hpp"
#include "models/sentence/static_embedding.hpp"
#include "models/sentence/top_k.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/log.hpp"
#include "runtime/weights/other_weights.hpp"

namespace tessera::models {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kStanfordClass = "HF_ColBERT";

std::string known_model_types() {
  std::string text;
  for (const Family& family : families()) {
    if (family.is_timm) continue;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", family.model_type);
  }
  return text;
}

std::string known_timm_architectures() {
  std::string text;
  for (const Family& family : families()) {
    if (family.is_timm) text += (text.empty() ? "" : ", ") + family.class_names(", ");
  }
  return text;
}

/// A directory without config.json may be one of another format, which is named.
void require_config(const fs::path& directory) {
  if (path_exists(directory / kConfig)) return;
  const std::string others = other_weights(directory);
  if (others.empty()) return;  // Config::read() says what is missing
  throw Error(ErrorCode::not_found,
              fmt::format("{}: no such file in {}, expected a directory of transformers{}", kConfig,
                          directory.string(), others));
}

/// By model_type; old files that lack it are known by their class, and timm's by their architecture.
const Family& choose_family(const Config& config) {
  if (config.has("model_type")) {
    const std::string type = config.string("model_type", "");
    const bool is_jina = type == "bert" && config.string("position_embedding_type", "") == "alibi";
    const Family* family = find_family(is_jina ? "jina_bert" : type);
    if (family == nullptr) config.unsupported("model_type", "one of " + known_model_types());
    return *family;
  }
  if (config.has("architecture")) {
    const Family* family = find_family_of_class(config.string("architecture", ""));
    if (family == nullptr || !family->is_timm) {
      config.unsupported("architecture", "one of timm's " + known_timm_architectures());
    }
    return *family;
  }
  for (const std::string& name : config.strings("architectures")) {
    if (const Family* family = find_family_of_class(name)) return *family;
  }
  config.wrong("model_type", "one of " + known_model_types());
}

bool is_stanford_class(const std::vector<std::string>& architectures) {
  return !architectures.empty() && architectures.front() == kStanfordClass;
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
  if (files.transformer_task == "fill-mask") {  // AutoModelForMaskedLM, whatever the checkpoint was
    for (const ModelClass& each : family.classes) {
      if (each.task == Task::masked_lm) return each;
    }
  }
  const bool features_only = files.has_modules && files.transformer_task == "feature-extraction";
  const std::vector<std::string> names =
      config.strings(family.is_timm ? "architecture" : "architectures");
  if (features_only || names.empty() || is_stanford_class(names)) return family.classes.front();
  const ModelClass* named = family.find(names.front());
  if (named == nullptr) config.unsupported("architectures", "one of " + family.class_names(", "));
  return *named;
}

/// Code that a directory brings along is never run, and what it computes need not be what the model_type
/// beside it says. It is what a family computes that was published with such code, where the class that
/// is named is one of the family's.
void refuse_remote_code(const Config& config, const Family& family) {
  if (!config.has("auto_map")) return;
  const Config map = config.object("auto_map");
  for (const auto& [name, code] : map.shown_members()) {
    if (name != "AutoConfig" && !name.starts_with("AutoModel")) continue;
    const std::string full = map.string(name, "");
    const std::string class_name = full.substr(full.rfind('.') + 1);  // "repository--file.Class"
    if (family.is_published_with_code && class_name.starts_with(family.class_prefix)) continue;
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: \"auto_map\" names {} as {}: code that comes with the model, which "
                    "is never run, expected a model of transformers' own classes",
                    config.name(), code, name));
  }
}

/// The pad token of the tokenizer's files, over the pad_token_id of the model.
///                                                                  processing_siglip.py, padding
void read_text_padding(Package& package) {
  const text::TextPadding& named = package.tokenizer->text_padding();
  if (named.is_masked) {
    package.tokenizer.reset();
    throw Error(ErrorCode::unsupported_model,
                fmt::format("tokenizer_config.json: model_input_names has \"attention_mask\", "
                            "expected [\"input_ids\"], as {} is published: its padding is attended "
                            "to (token ids can be given instead of text: --ids)",
                            package.architecture));
  }
  if (named.id) package.text_padding->id = named.id;
  package.text_padding->side = named.side;
}

void warn_of_ids_above(Index rows, const char* from, const Package& package) {
  if (!package.tokenizer) return;
  const auto needed = static_cast<Index>(package.tokenizer->vocab_size());
  if (needed <= rows) return;
  log(LogLevel::warning,
      fmt::format("tokenizer: ids up to {}, but {}={}: texts with the ids above that will be "
                  "refused",
                  needed - 1, from, rows));
}

/// `markers`: prompts whose token, if the tokenizer has it, is one piece wherever it stands.
void open_tokenizer(const fs::path& directory, const std::vector<std::string>& markers,
                    Package& package) {
  const TokenSpec* tokens = package.program.tokens();
  if (tokens == nullptr) {
    package.tokenizer_problem =
        fmt::format("{}: the model takes images, not texts", directory.string());
    return;
  }
  try {
    if (package.tokenizer) {
      // read_answer_tokens() has opened it
    } else if (!text::directory_has_tokenizer(directory)) {
      package.tokenizer_problem = fmt::format("{}: no tokenizer files", directory.string());
      return;
    }
    if (!package.tokenizer) package.tokenizer = text::Tokenizer::from_directory(directory, markers);
    if (package.text_padding) read_text_padding(package);
  } catch (const Error& error) {
    package.tokenizer_problem = error.what();
    return;
  }
  warn_of_ids_above(tokens->vocab_size, "config.json vocab_size", package);
}

/// The ids of late interaction, by the tokenizer; without one there are no texts to read either.
void add_multi_vector(const MultiVectorFiles& files, Package& package) {
  if (!package.tokenizer) {
    package.multi_vector.emplace();
    return;
  }
  package.multi_vector = resolve(files, *package.tokenizer);
  const auto& expansion = package.multi_vector->expansion;
  if (expansion && package.tokenizer->text_padding().side == text::Side::left) {
    throw Error(ErrorCode::unsupported_model,
                "query expansion: got padding_side \"left\" of tokenizer_config.json, expected "
                "\"right\": queries are filled up at their end");
  }
  if (expansion && !expansion->attends && package.program.tokens()->far_distance > 0) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("query expansion: got tokens that nobody attends to in a {}, whose "
                            "positions are relative, expected \"attend\": true",
                            package.architecture));
  }
}

/// The smaller of the position table and model_max_length; max_seq_length takes the place of the
/// latter, as the reference's Transformer passes it to the tokenizer.
void set_longest_sequence(const SentenceFiles& files, Package& package) {
  if (const ImageSpec* images = package.program.images()) {
    package.max_tokens = images->native_rows();
    return;
  }
  const bool has_table = package.max_tokens == 0;  // else the family has said what it is made for
  if (has_table) {
    package.max_tokens = package.program.tokens()->max_tokens;
    package.max_tokens_from = "position table";
  }
  std::optional<Index> limit = files.max_seq_length;
  std::string from = files.max_seq_length_from;
  if (!limit && package.tokenizer && package.tokenizer->max_length()) {
    limit = static_cast<Index>(std::min(*package.tokenizer->max_length(), std::size_t{1} << 30));
    from = "model_max_length of tokenizer_config.json";
  }
  const bool may_be_longer = !has_table && files.max_seq_length.has_value();
  if (!limit || (*limit > package.max_tokens && !may_be_longer)) return;
  package.max_tokens = *limit;
  package.max_tokens_from = from;
}

/// What the files around the model say, whatever the model is.
Package described_by(const fs::path& directory, const SentenceFiles& files) {
  Package package;
  package.directory = directory;
  package.transformer_directory = directory / files.transformer_path;
  package.embedding_from_files = files.has_modules;
  package.prompts = files.prompts;
  package.default_prompt_name = files.default_prompt_name;
  package.similarity_measure = files.similarity_measure;
  package.similarity_from_files = files.similarity_measure.has_value();
  if (files.is_sparse && !package.similarity_measure) {  // SparseEncoder's default
    package.similarity_measure = SimilarityMeasure::dot;
  }
  package.lower_case_first = files.lower_case_first;
  package.strips_texts =
      files.has_modules && files.first != SentenceFiles::First::clip && !files.logit_score;
  package.routes = files.routes;
  package.route = files.route;
  return package;
}

/// What the caller asks of the embedding that there is.
void change_embedding(const PackageOptions& options, Package& package) {
  if (options.normalize) normalize_embedding(package);
  if (options.dims != 0) cut_embedding(options.dims, package);
  if (options.top_k != 0) keep_heaviest(options.top_k, package);
  check(package.program);
}

/// A model without layers, and without a config.json of transformers.
Package open_static(Package package, const SentenceFiles& files, const Config* model2vec,
                    const PackageOptions& options) {
  const fs::path& directory = package.directory;
  auto checkpoint = std::make_shared<Checkpoint>(Checkpoint::open(package.transformer_directory));
  add_static_embedding(files, model2vec, options, *checkpoint, package);
  if (model2vec == nullptr && !files.modules.empty()) {
    merge_module_weights(directory, files, *checkpoint);
    add_embedding(directory, files, *checkpoint, kNone, package);
  }
  package.checkpoint = std::move(checkpoint);
  if (options.pooling) refuse_pooling(*options.pooling, files, package);
  change_embedding(options, package);
  open_static_tokenizer(files, package);
  warn_of_ids_above(package.program.tokens()->vocab_size, "rows of the embedding", package);
  return package;
}

}  // namespace

Package open_package(const fs::path& model, const PackageOptions& options) {
  const fs::path directory = find_model(model);
  SentenceFiles files = read_sentence_files(directory, options.route);
  Package package = described_by(directory, files);
  const fs::path transformer = package.transformer_directory;
  const std::optional<Config> model2vec = find_model2vec(transformer, files, options);
  if (model2vec || files.is_static()) {
    return open_static(std::move(package), files, model2vec ? &*model2vec : nullptr, options);
  }
  require_config(transformer);
  const Config config = Config::read(transformer / kConfig, kConfig);
  const Family& family = choose_family(config);
  refuse_remote_code(config, family);
  // Of CLIP and SigLIP too, whose encoders have configs of their own below it.
  const std::optional<Quantization> quantization = read_quantization(config);
  const ModelClass& model_class = choose_class(config, family, files, options);
  const bool is_stanford = options.architecture.empty() && !files.has_modules &&
                           is_stanford_class(config.strings("architectures"));
  if (is_stanford) files.multi_vector = read_stanford(transformer, files.prompts);

  package.model_type = family.model_type;
  package.architecture = is_stanford ? kStanfordClass : family.name_of(model_class);
  package.task = model_class.task;
  package.prompts = files.prompts;  // with the markers of read_stanford()
  if (options.architecture.empty()) {
    read_answer_tokens(directory, transformer, files, model_class.suffix, package);
  }

  auto checkpoint = std::make_shared<Checkpoint>(Checkpoint::open(transformer));
  if (quantization) find_scales(*quantization, *checkpoint);
  const WeightMap weights(*checkpoint, family.model_type, family.base_prefix, kConfig);
  Builder builder(package.program, weights);
  const bool is_clip = files.first == SentenceFiles::First::clip;
  BuildContext context{.config = config,
                       .builder = builder,
                       .package = package,
                       .prefix = family.base_prefix,
                       .tower = options.tower,
                       .embedding_is_as_projected = is_clip};
  const ValueId last_hidden_state = family.build(context);
  if (quantization) {  // what other modules add has weights of its own
    say_how_stored(*checkpoint, package.program);
    package.stored_weights = describe_stored(*checkpoint, package.program);
  }

  const bool has_m3_heads = package.task == Task::features && directory_has_m3_heads(transformer);
  const std::int32_t of_family = package.program.find_output("embedding");
  if (is_clip && of_family == kNone) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("modules.json[0]: \"type\" is CLIPModel, but config.json is of a {}, "
                            "expected a CLIPModel",
                            package.architecture));
  }
  const bool says_pooling =
      options.pooling && !is_silent(files, of_family != kNone || has_m3_heads);
  if (options.pooling && !says_pooling) {
    package.embedding_from_files = true;
    set_pooling(*options.pooling, files);
  }
  if (files.multi_vector) {
    package.embedding_from_files = true;
    merge_module_weights(directory, files, *checkpoint);
    add_token_vectors(directory, files, *checkpoint, last_hidden_state, package);
  } else if (of_family == kNone || !files.modules.empty()) {
    if (!files.has_modules && files.modules.empty()) {
      package.embedding_from_files = has_m3_heads;
      files =
          has_m3_heads ? m3_modules(std::move(files)) : plain_transformer_modules(std::move(files));
    }
    read_hidden_states(config, files);
    merge_module_weights(directory, files, *checkpoint);
    add_embedding(directory, files, *checkpoint, last_hidden_state, package);
  }
  if (has_m3_heads) add_m3_outputs(transformer, last_hidden_state, *checkpoint, package);
  package.checkpoint = std::move(checkpoint);
  if (says_pooling) refuse_pooling(*options.pooling, files, package);
  change_embedding(options, package);

  open_tokenizer(transformer,
                 files.multi_vector ? files.multi_vector->markers : std::vector<std::string>{},
                 package);
  if (files.multi_vector) add_multi_vector(*files.multi_vector, package);
  set_longest_sequence(files, package);
  read_cross_encoder_activation(directory, package);
  return package;
}

}  // namespace tessera::models
