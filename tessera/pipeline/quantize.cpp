// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/quantize.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "models/compressed_tensors.hpp"
#include "models/hub_cache.hpp"
#include "models/package.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/float_environment.hpp"
#include "runtime/base/replaced_directory.hpp"
#include "runtime/base/replaced_file.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tessera/pipeline/copied_directory.hpp"
#include "tessera/pipeline/integer_tensors.hpp"
#include "tessera/pipeline/model_parts.hpp"
#include "tessera/pipeline/quantized_rows.hpp"
#include "tessera/pipeline/reference_tensors.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kWeightsFile = "model.safetensors";

void require_not_cancelled(const QuantizeOptions& options) {
  if (!options.is_cancelled || !options.is_cancelled()) return;
  throw Error(ErrorCode::cancelled, fmt::format("{}: quantising was cancelled, nothing was written",
                                                options.out.string()));
}

std::vector<std::byte> as_stored(const Checkpoint& own, const StoredTensor& tensor) {
  std::vector<std::byte> bytes(tensor.bytes);
  own.read({tensor.data, tensor.bytes}, bytes.data());
  return bytes;
}

std::vector<std::byte> bytes_of(std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

/// `stores_all_factors`: of weights that are quantised when they are loaded, too, which would be made of
/// the weights there.
/// Returns the modules that have factors.
std::vector<std::string> write_weights(const Checkpoint& own, const IntegerTensors& chosen,
                                       const QuantizeOptions& options, bool stores_all_factors,
                                       const fs::path& to) {
  const bool clips = options.clips;
  std::vector<std::string> with_factors;
  std::vector<TensorToWrite> tensors;
  const auto add = [&](std::string name, StoredType type, std::vector<std::int64_t> shape,
                       std::function<std::vector<std::byte>()> make) {
    tensors.push_back({.name = std::move(name),
                       .type = type,
                       .shape = std::move(shape),
                       .make = [&options, make = std::move(make)] {
                         require_not_cancelled(options);
                         return make();
                       }});
  };
  const std::set<std::string> at_load(chosen.at_load.begin(), chosen.at_load.end());
  for (const StoredTensor* tensor : own.tensors()) {
    const bool is_whole = chosen.whole.contains(tensor->name);
    const auto found = chosen.factors.of.find(tensor->name);
    std::vector<float> factors;  // as stored
    if (found != chosen.factors.of.end()) factors = found->second;
    const std::string module = models::module_of(*tensor, models::kWeight);
    if (is_whole) {
      const bool clips_it = clips && !chosen.words.contains(tensor->name);
      // Twice: the file has all scales before all numbers, and holds neither.
      const auto rows = [&own, tensor, factors, clips_it] {
        return quantize_rows(own, *tensor, factors, clips_it);
      };
      add(tensor->name, StoredType::i8, tensor->shape, [rows] { return rows().numbers; });
      add(fmt::format("{}{}", module, models::kScale), StoredType::f32, {tensor->shape[0], 1},
          [rows] { return bytes_of(rows().scales); });
    } else {
      add(tensor->name, tensor->type, tensor->shape,
          [&own, tensor] { return as_stored(own, *tensor); });
      const bool has_factors = found != chosen.factors.of.end() && at_load.contains(tensor->name);
      if (!stores_all_factors || !has_factors) continue;
      factors.resize(static_cast<std::size_t>(tensor->shape[1]), 1.0F);
    }
    if (factors.empty()) continue;
    with_factors.push_back(module);
    add(fmt::format("{}{}", module, models::kInputFactors), StoredType::f32, {tensor->shape[1]},
        [factors] { return bytes_of(factors); });
  }
  auto metadata = own.files().front().metadata();
  metadata.emplace("format", "pt");  // transformers reads no file that does not say it
  if (!chosen.at_load.empty()) {
    metadata[models::kAtLoad] = fmt::format("{}", fmt::join(chosen.at_load, "\n"));
  }
  if (clips) metadata[models::kClips] = "mse";  // of what is quantised where it is packed
  write_safetensors(to, tensors, metadata);
  return with_factors;
}

constexpr std::string_view kSpace = " \t\r\n";

/// `config` without its members `key` that are null: of two members of one name readers take one or the other.
std::string without_null(std::string config, const char* key) {
  const std::string name = fmt::format("\"{}\"", key);
  for (std::size_t at = config.find(name); at != std::string::npos;
       at = config.find(name, at + 1)) {
    const std::size_t colon = config.find_first_not_of(kSpace, at + name.size());
    if (colon == std::string::npos || config[colon] != ':') continue;  // a value of that name
    const std::size_t value = config.find_first_not_of(kSpace, colon + 1);
    if (value == std::string::npos || config.compare(value, 4, "null") != 0) continue;
    const std::size_t before = config.find_last_not_of(kSpace, at - 1),
                      next = config.find_first_not_of(kSpace, value + 4);
    if (config[next] == ',') {
      config.erase(at, next + 1 - at);
    } else {  // the last member, or the only one
      const std::size_t from = config[before] == ',' ? before : at;
      config.erase(from, value + 4 - from);
    }
    at = before;
  }
  return config;
}

/// `config`, which is one JSON object, with one more member.
std::string with_member(std::string config, const char* key, const std::string& value) {
  config = without_null(std::move(config), key);
  config.resize(config.rfind('}'));
  while (!config.empty() && kSpace.find(config.back()) != std::string_view::npos) {
    config.pop_back();
  }
  const bool is_first = config.back() == '{';
  return config + fmt::format("{}\n  \"{}\": {}\n}}\n", is_first ? "" : ",", key, value);
}

std::uint64_t size_of_files(const Checkpoint& own) {
  std::uint64_t bytes = 0;
  for (const TensorFile& file : own.files()) bytes += file.file().bytes().size();
  return bytes;
}

bool is_within(const fs::path& path, const fs::path& directory) {
  const auto [end, rest] =
      std::mismatch(directory.begin(), directory.end(), path.begin(), path.end());
  return end == directory.end();
}

/// Neither in the other: one is read while the other is made, and replaced.
void require_apart(const fs::path& model, const fs::path& out) {
  const fs::path real = fs::weakly_canonical(out);
  if (!is_within(real, model) && !is_within(model, real)) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: is within {} or around it, expected a directory apart from it",
                          out.string(), model.string()));
}

/// What is to be replaced looks like what this writes.
void require_model(const fs::path& out) {
  if (!path_exists(out) || !directory_exists(out) || path_exists(out / kConfig) ||
      fs::is_empty(out) || path_exists(out / "modules.json")) {
    return;
  }
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: has no config.json, expected a directory of a model to replace",
                          out.string()));
}

std::size_t count_factors(const IntegerTensors& chosen) {
  return static_cast<std::size_t>(
      std::count_if(chosen.whole.begin(), chosen.whole.end(), [&](const std::string& tensor) {
        const auto found = chosen.factors.of.find(tensor);
        return found != chosen.factors.of.end() && !found->second.empty();
      }));
}

}  // namespace

QuantizeReport quantize_directory(const fs::path& model, const QuantizeOptions& options) {
  const FloatEnvironment floats;  // as where weights are packed
  const fs::path directory = fs::canonical(models::find_model(model));
  const std::vector<ModelPart> parts = open_parts(directory);
  require_apart(directory, options.out);
  require_model(options.out);
  require_replaceable(options.out, options.replaces);

  QuantizeReport report;
  const std::vector<CalibratedPart> calibrated =
      calibrate(parts, {.inputs = options.calibration,
                        .least_cosine = options.least_cosine,
                        .keep = options.keep,
                        .words = options.words,
                        .clips = options.clips,
                        .between = [&] { require_not_cancelled(options); }});
  require_not_cancelled(options);
  if (options.begins_to_write) options.begins_to_write();
  ReplacedDirectory made(options.out, options.replaces);
  std::vector<fs::path> written;  // in the model: files that are not copied
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& [transformer, packages, names] = parts[i];
    report.calibrations.insert(report.calibrations.end(), calibrated[i].calibrations.begin(),
                               calibrated[i].calibrations.end());
    if (is_table_alone(parts[i])) continue;
    const Checkpoint own = Checkpoint::open(transformer);
    const IntegerTensors chosen =
        choose_integer_tensors(packages, own, calibrated[i].keep, options.words);
    if (chosen.whole.empty()) continue;
    const bool has_measured = calibrated[i].takes_factors();
    const std::size_t with_factors = count_factors(chosen);
    const bool stores_factors = with_factors > 0 || (has_measured && !chosen.at_load.empty());
    const fs::path to = made.path() / transformer.lexically_relative(directory);
    fs::create_directories(to);
    const models::WrittenTensors written_tensors{
        .ignore = chosen.floats,
        .with_factors = write_weights(own, chosen, options, has_measured, to / kWeightsFile),
        .has_words = !chosen.words.empty(),
        .clips = options.clips};
    replace_file(to / kConfig,
                 with_member(read_file(transformer / kConfig), "quantization_config",
                             models::compressed_tensors_json(
                                 written_tensors, stores_factors ? models::kWithFactors
                                                                 : models::kCompressedTensors)));
    written.push_back(transformer / kConfig);
    written.push_back(directory / kVectorsFile);  // of other weights
    for (fs::path& file : files_of_weights(transformer, own)) written.push_back(std::move(file));
    report.whole += chosen.whole.size();
    report.with_factors += with_factors;
    report.words.insert(report.words.end(), chosen.words.begin(), chosen.words.end());
    report.floats.insert(report.floats.end(), chosen.floats.begin(), chosen.floats.end());
    report.at_load.insert(report.at_load.end(), chosen.at_load.begin(), chosen.at_load.end());
    report.no_linears.insert(report.no_linears.end(), chosen.no_linears.begin(),
                             chosen.no_linears.end());
    report.bytes_before += size_of_files(own);
    report.bytes_after += fs::file_size(to / kWeightsFile);
  }
  if (report.whole == 0) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: no weight to quantise, expected linears over tokens{}",
                            directory.string(), options.keep.empty() ? "" : " that are not kept"));
  }
  require_not_cancelled(options);
  report.left_out = copy_other_files(directory, made.path(), written);
  static_cast<void>(models::open_package(made.path()));  // what is in place can be read
  require_not_cancelled(options);
  made.commit();
  return report;
}

}  // namespace tessera
