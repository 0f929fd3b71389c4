// SPDX-License-Identifier: Apache-2.0
// Opening and closing models, and what they say about themselves.
#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

#include "runtime/base/files.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/objects.hpp"
#include "tessera/pipeline/encoder.hpp"

namespace tessera::c_api {
namespace {

ModelOptions read_model_options(const tessera_model_options& given) {
  ModelOptions options;
  if (given.isa != nullptr) {
    options.isa = isa_from_string(given.isa);
    require(options.isa.has_value(), "isa: got \"{}\", expected one of {}", given.isa,
            level_names());
  }
  (void)resolve_isa(options.isa);  // what is wrong with it is said now
  options.outputs = read_names(given.outputs, given.output_count, "outputs");
  options.packed_cache = string_or_empty(given.packed_cache);
  options.copy_tables = checked_flag(given.copy_tables, "copy_tables");
  options.memory_cap_bytes = given.memory_cap_bytes;
  return options;
}

PrecisionOption read_precision(const tessera_model_options& given) {
  return static_cast<PrecisionOption>(
      checked_enum(given.precision, TESSERA_PRECISION_INT8, "precision"));
}

static_assert(static_cast<int>(PrecisionOption::fp32) == TESSERA_PRECISION_FP32 &&
              static_cast<int>(PrecisionOption::bf16) == TESSERA_PRECISION_BF16 &&
              static_cast<int>(PrecisionOption::automatic) == TESSERA_PRECISION_AUTOMATIC &&
              static_cast<int>(PrecisionOption::int8) == TESSERA_PRECISION_INT8);
static_assert(static_cast<int>(models::Tower::text) == TESSERA_TOWER_TEXT &&
              static_cast<int>(models::Tower::image) == TESSERA_TOWER_IMAGE);

std::optional<Pooling> read_pooling(const tessera_model_options& given) {
  constexpr std::array kPoolings{Pooling::first,         Pooling::max,           Pooling::mean,
                                 Pooling::mean_sqrt_len, Pooling::weighted_mean, Pooling::last};
  static_assert(kPoolings.size() == TESSERA_POOLING_LASTTOKEN);
  const std::uint32_t pooling = checked_enum(given.pooling, TESSERA_POOLING_LASTTOKEN, "pooling");
  return pooling == TESSERA_POOLING_AUTOMATIC ? std::nullopt
                                              : std::optional(kPoolings[pooling - 1]);
}
static_assert(static_cast<int>(models::Route::query) == TESSERA_ROUTE_QUERY &&
              static_cast<int>(models::Route::document) == TESSERA_ROUTE_DOCUMENT);

tessera_model* open(const std::filesystem::path& directory, const tessera_model_options& given) {
  ModelOptions options = read_model_options(given);
  const auto tower =
      static_cast<models::Tower>(checked_enum(given.tower, TESSERA_TOWER_IMAGE, "tower"));
  require(given.dims >= 0, "dims is {}, expected 1 or more, or 0 for all", given.dims);
  require(given.top_k >= 0, "top_k is {}, expected 1 or more, or 0 for all", given.top_k);
  const auto route =
      static_cast<models::Route>(checked_enum(given.route, TESSERA_ROUTE_DOCUMENT, "route"));
  models::Package package =
      models::open_package(directory, {.tower = tower,
                                       .route = route,
                                       .architecture = string_or_empty(given.architecture),
                                       .dims = given.dims,
                                       .top_k = given.top_k,
                                       .pooling = read_pooling(given),
                                       .normalize = checked_flag(given.normalize, "normalize")});
  return model_table().add(
      std::make_shared<ModelObject>(std::move(package), std::move(options), read_precision(given)));
}

MemoryFiles::Map read_files(const tessera_file* files, std::size_t count) {
  require(count > 0, "files: got none, expected config.json and model.safetensors at least");
  require(count <= 100'000, "files: got {}, expected at most 100000", count);
  MemoryFiles::Map map;
  for (std::size_t i = 0; i < count; ++i) {
    const tessera_file file = read_element(files, i, "files");
    require(file.name != nullptr, "files[{}].name is NULL, expected such as \"config.json\"", i);
    const std::span<const std::byte> bytes =
        checked_span(static_cast<const std::byte*>(file.data), file.size, "files[].data");
    require(map.emplace(file.name, bytes).second,
            "files[{}].name is \"{}\" again, expected each name once", i, file.name);
  }
  return map;
}

}  // namespace

ModelObject::ModelObject(models::Package package, ModelOptions options, PrecisionOption precision)
    : package_(std::move(package)),
      options_(std::move(options)),
      main_output_(tessera::main_output(package_.program)) {
  options_.precision = choose_precision(precision, package_, [&] {
                         MachineRates rates = resolve_rates(
                             machine(), resolve_isa(options_.isa, precision_to_ask(precision)));
                         warn_if_slower(precision, rates);
                         return rates;
                       }).precision;
  options_.isa = resolve_isa(options_.isa, options_.precision);
  for (const std::string& name : options_.outputs) output(name.c_str());
  if (package_.program.images() == nullptr) return;
  try {
    preprocessor_.emplace(
        image::read_preprocessor_config(package_.transformer_directory, package_.model_type));
  } catch (const Error& error) {  // pixels as the model wants them may come another way
    preprocessor_problem_ = error.what();
  }
}

const Output& ModelObject::output(const char* name) const {
  const char* const wanted = name == nullptr ? main_output_.c_str() : name;
  const std::int32_t found = package_.program.find_output(wanted);
  if (found != kNone) return package_.program.outputs[static_cast<std::size_t>(found)];
  std::string known;
  for (const Output& each : package_.program.outputs) {
    known += (known.empty() ? "" : ", ") + each.name;
  }
  throw Error(ErrorCode::not_found,
              fmt::format("output: got \"{}\", expected one of {}", wanted, known));
}

const Output& ModelObject::output(std::size_t index) const {
  require(index < package_.program.outputs.size(), "output: index is {}, expected 0 to {}", index,
          package_.program.outputs.size() - 1);
  return package_.program.outputs[index];
}

std::shared_ptr<const Model> ModelObject::weights() {
  if (const auto* const packed = weights_.load()) return *packed;
  const ProcessMutex::Lock lock(packing_);
  if (const auto* const packed = weights_.load()) return *packed;
  const auto* const packed = new std::shared_ptr<const Model>(
      Model::create(package_.program, package_.checkpoint, options_));
  weights_ = packed;
  return *packed;
}

namespace {

tessera_model_info info_of(const ModelObject& model) {
  const models::Package& package = model.package();
  const TokenSpec* tokens = package.program.tokens();
  const ImageSpec* images = package.program.images();
  const auto& similarity = package.similarity;
  return {.struct_size = sizeof(tessera_model_info),
          .input = images != nullptr ? TESSERA_INPUT_IMAGES : TESSERA_INPUT_TOKENS,
          .has_tokenizer = package.tokenizer ? 1U : 0U,
          .is_normalized = package.embedding_is_normalized ? 1U : 0U,
          .model_type = package.model_type.c_str(),
          .architecture = package.architecture.c_str(),
          .isa = to_string(model.isa()),
          .main_output = model.main_output().c_str(),
          .embedding = package.embedding_description.c_str(),
          .problem_type = package.problem_type.c_str(),
          .tokenizer_problem = package.tokenizer_problem.c_str(),
          .layers = package.layers,
          .hidden_size = package.hidden,
          .heads = package.heads,
          .intermediate_size = package.intermediate,
          .vocabulary_size = tokens == nullptr ? 0 : tokens->vocab_size,
          .token_types = tokens == nullptr ? 0 : tokens->type_vocab_size,
          .max_tokens = package.max_tokens,
          .position_limit = tokens == nullptr ? package.max_tokens : tokens->max_tokens,
          .image_height = images == nullptr ? 0 : images->height,
          .image_width = images == nullptr ? 0 : images->width,
          .label_count = static_cast<std::uint32_t>(package.labels.size()),
          .output_count = static_cast<std::uint32_t>(package.program.outputs.size()),
          .similarity = !similarity              ? TESSERA_SIMILARITY_NONE
                        : similarity->is_sigmoid ? TESSERA_SIMILARITY_SIGMOID
                                                 : TESSERA_SIMILARITY_SOFTMAX,
          .logit_scale = similarity ? similarity->logit_scale : 0.0F,
          .logit_bias = similarity ? similarity->logit_bias : 0.0F,
          .precision = model.options().precision == Precision::f32    ? TESSERA_PRECISION_FP32
                       : model.options().precision == Precision::bf16 ? TESSERA_PRECISION_BF16
                                                                      : TESSERA_PRECISION_INT8,
          .is_sparse = package.embedding_is_sparse ? 1U : 0U,
          .reserved = 0,
          .similarity_function = models::to_string(
              package.similarity_measure.value_or(models::SimilarityMeasure::cosine)),
          .default_prompt_name = package.default_prompt_name.c_str(),
          .route = package.route.c_str(),
          .prompt_count = static_cast<std::uint32_t>(package.prompts.size()),
          .route_count = static_cast<std::uint32_t>(package.routes.size()),
          .is_multi_vector = package.multi_vector ? 1U : 0U,
          .reserved_2 = 0};
}

tessera_output_info info_of(const ModelObject& model, const Output& output) {
  const Value& value = model.value(output);
  return {.struct_size = sizeof(tessera_output_info),
          .is_per_token = value.space != kSequences ? 1U : 0U,
          .name = output.name.c_str(),
          .width = value.width};
}

}  // namespace
}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_model_open(const char* directory, const tessera_model_options* options,
                                  tessera_model** model) {
  return guard([&] {
    checked(directory, "directory");
    checked(model, "model");
    *model = open(directory, read_optional_struct(options, "tessera_model_options"));
  });
}

tessera_status tessera_model_open_memory(const tessera_file* files, size_t file_count,
                                         const tessera_model_options* options,
                                         tessera_model** model) {
  return guard([&] {
    checked(model, "model");
    const MemoryFiles mounted(read_files(files, file_count));
    *model = open(mounted.directory(), read_optional_struct(options, "tessera_model_options"));
  });
}

tessera_status tessera_model_prepare(tessera_model* model) {
  return guard([&] { model_table().get(model)->weights(); });
}

tessera_status tessera_model_close(tessera_model* model) {
  return guard([&] {
    if (model != nullptr) model_table().remove(model);
  });
}

tessera_status tessera_model_get_info(const tessera_model* model, tessera_model_info* info) {
  return guard([&] {
    const std::size_t size = checked_struct_size(info, "tessera_model_info");
    write_struct(info, size, info_of(*model_table().get(model)));
  });
}

tessera_status tessera_model_get_label(const tessera_model* model, size_t index,
                                       const char** label) {
  return guard([&] {
    checked(label, "label");
    const std::shared_ptr<ModelObject> object = model_table().get(model);
    const std::vector<std::string>& labels = object->package().labels;
    require(index < labels.size(), "label: index is {}, expected less than {} (label_count)", index,
            labels.size());
    *label = labels[index].c_str();
  });
}

tessera_status tessera_model_get_prompt(const tessera_model* model, size_t index, const char** name,
                                        const char** text) {
  return guard([&] {
    checked(name, "name");
    checked(text, "text");
    const std::shared_ptr<ModelObject> object = model_table().get(model);
    const auto& prompts = object->package().prompts;
    require(index < prompts.size(), "prompt: index is {}, expected less than {} (prompt_count)",
            index, prompts.size());
    const auto& prompt = *std::next(prompts.begin(), static_cast<Index>(index));
    *name = prompt.first.c_str();
    *text = prompt.second.c_str();
  });
}

tessera_status tessera_model_get_token(const tessera_model* model, int64_t id, char* text,
                                       size_t capacity, size_t* size) {
  return guard([&] {
    checked(size, "size");
    const auto out = checked_span(text, capacity, "text");
    const std::shared_ptr<ModelObject> object = model_table().get(model);
    const models::Package& package = object->package();
    if (!package.tokenizer) throw Error(ErrorCode::not_found, package.tokenizer_problem);
    const Index end = require_tokens(package.program).vocab_size;
    require(id >= 0 && id < end, "id is {}, expected 0 to {}", id, end - 1);
    const std::string_view token = package.tokenizer->token(static_cast<std::int32_t>(id));
    *size = token.size();
    if (text == nullptr) return;
    require(capacity >= token.size(), "capacity is {}, expected at least {} (bytes of token {})",
            capacity, token.size(), id);
    std::copy(token.begin(), token.end(), out.begin());
  });
}

tessera_status tessera_model_get_output(const tessera_model* model, size_t index,
                                        tessera_output_info* info) {
  return guard([&] {
    const std::size_t size = checked_struct_size(info, "tessera_output_info");
    const std::shared_ptr<ModelObject> object = model_table().get(model);
    write_struct(info, size, info_of(*object, object->output(index)));
  });
}

tessera_status tessera_model_find_output(const tessera_model* model, const char* name,
                                         tessera_output_info* info) {
  return guard([&] {
    const std::size_t size = checked_struct_size(info, "tessera_output_info");
    const std::shared_ptr<ModelObject> object = model_table().get(model);
    write_struct(info, size, info_of(*object, object->output(name)));
  });
}
