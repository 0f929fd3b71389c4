// SPDX-License-Identifier: Apache-2.0
#include "models/compressed_tensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>
#include <utility>

#include "runtime/base/json_text.hpp"

namespace tessera::models {
namespace {

constexpr std::array kFormats{"int-quantized", "naive-quantized"};
constexpr const char* kExpectedFormat = "\"int-quantized\"";
constexpr int kMostExponent =
    32;  // of factors: more than is ever written, and far from an overflow

bool is_format(const std::string& name) {
  return std::find(kFormats.begin(), kFormats.end(), name) != kFormats.end();
}

/// Names of enumerations are read in any case.                       quant_args.py, validate_type
std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// The member as JSON; "null" where there is none.
std::string shown(const Config& config, std::string_view key) {
  std::string text = "null";
  for (const auto& [name, value] : config.shown_members()) {
    if (name == key) text = value;
  }
  return text;
}

/// num_bits, type and symmetric, of weights or activations.
void require_symmetric_bytes(const Config& args) {
  if (args.integer("num_bits", 8) != 8) args.unsupported("num_bits", "8");
  if (lower(args.string("type", "int")) != "int") args.unsupported("type", "\"int\"");
  if (!args.boolean("symmetric", true)) args.unsupported("symmetric", "true: no zero points");
}

void check_activations(const Config& args) {
  require_symmetric_bytes(args);
  if (shown(args, "dynamic") != "true") {
    args.unsupported("dynamic", "true: activations are quantised by what they are");
  }
  if (lower(args.string("strategy", "tensor")) != "token") {
    args.unsupported("strategy", "\"token\": a scale that depends on no other row");
  }
}

/// Suffixes of tensors that are not computed, and what they would be.
struct Unread {
  const char* suffix;
  const char* meaning;
};
constexpr Unread kUnread[] = {
    {".weight_packed", "several numbers in one"},
    {".weight_g_idx", "columns in another order"},
    {".weight_global_scale", "a scale of scales"},
    {".input_scale", "a scale of activations that was measured before"},
    {".input_zero_point", "a zero point of activations"},
};

/// What an older writer leaves of a symmetric scheme: zero points that are 0.
void require_zeros(const Checkpoint& checkpoint, const StoredTensor& tensor) {
  std::vector<std::byte> bytes(tensor.bytes);
  checkpoint.read({tensor.data, tensor.bytes}, bytes.data());
  if (std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }))
    return;
  refuse_tensor(ErrorCode::unsupported_model, checkpoint, tensor.name,
                "holds zero points that are not 0, expected weights that are symmetric about 0");
}

void refuse_unread(const CompressedTensors& layout, const Checkpoint& checkpoint,
                   const StoredTensor& tensor) {
  if (tensor.name.ends_with(kInputFactors) && !layout.has_factors) {
    refuse_tensor(
        ErrorCode::unsupported_model, checkpoint, tensor.name,
        fmt::format("holds factors of an input, expected none, or \"{}\" for quant_method",
                    kWithFactors));
  }
  for (const Unread& unread : kUnread) {
    if (!tensor.name.ends_with(unread.suffix)) continue;
    refuse_tensor(
        ErrorCode::unsupported_model, checkpoint, tensor.name,
        fmt::format("is {}, which this version does not compute, expected weights of I8 and "
                    "their weight_scale",
                    unread.meaning));
  }
  if (tensor.name.ends_with(".weight_zero_point")) require_zeros(checkpoint, tensor);
}

/// A scale of 0 is one that was lost, unless the row is of zeros.
void require_zero_row(const Checkpoint& checkpoint, const StoredTensor& weight, Index row) {
  const auto K = static_cast<std::size_t>(weight.shape[1]);
  std::vector<std::byte> numbers(K);
  checkpoint.read({weight.data + static_cast<std::size_t>(row) * K, K}, numbers.data());
  if (std::all_of(numbers.begin(), numbers.end(), [](std::byte b) { return b == std::byte{0}; })) {
    return;
  }
  refuse_tensor(
      ErrorCode::corrupt_file, checkpoint, module_of(weight, kWeight) + std::string(kScale),
      fmt::format("holds 0 for row {}, which is not of zeros, expected a positive number", row));
}

/// Scales or factors beside floats, or beside nothing.
void require_numbers(const Checkpoint& checkpoint, const StoredTensor& scale,
                     std::string_view suffix) {
  const std::string name = module_of(scale, suffix) + std::string(kWeight);
  const StoredTensor* const weight = checkpoint.find(name);
  if (weight != nullptr && weight->type == StoredType::i8) return;
  if (weight != nullptr && suffix == kInputFactors &&
      quantized_at_load(checkpoint).contains(name)) {
    return;
  }
  refuse_tensor(
      ErrorCode::corrupt_file, checkpoint, scale.name,
      fmt::format("is the {} of {}, which {}, expected I8",
                  suffix == kScale ? "scale" : "input factors", detail::in_quotes(name),
                  weight == nullptr ? std::string("is not there")
                                    : fmt::format("is stored as {}", to_string(weight->type))));
}

/// Precondition: its weight is there.
std::vector<float> read_factors(const Checkpoint& checkpoint, const StoredTensor& tensor) {
  const std::string weight = module_of(tensor, kInputFactors) + std::string(kWeight);
  const std::vector<std::int64_t>& shape = checkpoint.at(weight).shape;
  if (shape.size() != 2 || tensor.shape != std::vector<std::int64_t>{shape[1]}) {
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, tensor.name,
                  fmt::format("has shape {}, expected one for each column of {} {}",
                              shape_to_string(tensor.shape), detail::in_quotes(weight),
                              shape_to_string(shape)));
  }
  if (tensor.type != StoredType::f32) {
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, tensor.name,
                  fmt::format("is stored as {}, expected F32", to_string(tensor.type)));
  }
  std::vector<float> factors = checkpoint.values(tensor);
  for (std::size_t k = 0; k < factors.size(); ++k) {
    int exponent = 0;
    const bool is_power = std::isnormal(factors[k]) && std::frexp(factors[k], &exponent) == 0.5F;
    if (is_power && std::abs(exponent - 1) <= kMostExponent) continue;
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, tensor.name,
                  fmt::format("holds {} for column {}, expected a power of two from 2^-{} to 2^{}",
                              static_cast<double>(factors[k]), k, kMostExponent, kMostExponent));
  }
  return factors;
}

/// Factors of the modules that config.json names, and of no others.
void check_names_of_factors(const std::vector<std::string>& named, const Checkpoint& checkpoint) {
  for (const std::string& module : named) {
    const std::string name = fmt::format("{}{}", module, kInputFactors);
    if (checkpoint.find(name) != nullptr) continue;
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: there is no tensor {}, expected it: \"input_factors\" of "
                            "quantization_config names the module",
                            checkpoint.path().string(), detail::in_quotes(name)));
  }
  for (const StoredTensor* tensor : checkpoint.tensors()) {
    if (!tensor->name.ends_with(kInputFactors)) continue;
    const std::string module = module_of(*tensor, kInputFactors);
    if (std::find(named.begin(), named.end(), module) != named.end()) continue;
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, tensor->name,
                  "is there, and \"input_factors\" of quantization_config does not name its "
                  "module, expected both or none");
  }
}

}  // namespace

bool have_one_scale(const Config& args) {
  require_symmetric_bytes(args);
  if (shown(args, "dynamic") == "true") args.unsupported("dynamic", "false: weights are stored");
  if (args.has("block_structure"))
    args.unsupported("block_structure", "null: a scale for each row");
  const bool by_row = shown(args, "group_size") == "-1";
  if (args.has("group_size") && !by_row) {
    args.unsupported("group_size", "null: a scale for each row");
  }
  // Without one: channel where group_size is -1, else tensor.      QuantizationArgs, infer strategy
  const std::string strategy = lower(args.string("strategy", by_row ? "channel" : "tensor"));
  if (strategy != "channel" && strategy != "tensor") {
    args.unsupported("strategy", "\"channel\" or \"tensor\"");
  }
  // "weight" (alias "static") is an order of calibration alone; "group" one of the columns.
  const std::string order = lower(shown(args, "actorder"));
  if (order != "null" && order != "false" && order != "\"weight\"" && order != "\"static\"") {
    args.unsupported("actorder", "null or \"weight\": columns in their order");
  }
  return strategy == "tensor";
}

std::vector<float> read_scales(const Checkpoint& checkpoint, const StoredTensor& weight,
                               bool may_be_one) {
  if (weight.shape.size() != 2) {
    refuse_tensor(
        ErrorCode::unsupported_model, checkpoint, weight.name,
        fmt::format("is stored as I8 with shape {}, expected (N, K), a linear's or a table's",
                    shape_to_string(weight.shape)));
  }
  const std::int64_t N = weight.shape[0];
  const std::string name = module_of(weight, kWeight) + std::string(kScale);
  const StoredTensor* const scale = checkpoint.find(name);
  if (scale == nullptr) {
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, weight.name,
                  fmt::format("is stored as I8 and there is no {}, expected it with shape ({}, 1)",
                              detail::in_quotes(name), N));
  }
  const std::vector<std::int64_t>& shape = scale->shape;
  const bool is_by_row =
      (shape.size() == 1 || (shape.size() == 2 && shape[1] == 1)) && shape[0] == N;
  const bool is_one = may_be_one && shape.size() <= 1 && scale->elements() == 1;
  if (!is_by_row && !is_one) {
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, name,
                  fmt::format("has shape {}, expected ({}, 1): one for each row of {}",
                              shape_to_string(shape), N, detail::in_quotes(weight.name)));
  }
  if (!weight_dtype(scale->type)) {
    refuse_tensor(
        ErrorCode::unsupported_model, checkpoint, name,
        fmt::format("is stored as {}, expected F32, F16 or BF16", to_string(scale->type)));
  }
  std::vector<float> scales = checkpoint.values(*scale);
  if (!is_by_row) scales.assign(static_cast<std::size_t>(N), scales.front());
  constexpr float kLargest = std::numeric_limits<float>::max() / 128;  // 128 steps are a number
  for (std::size_t n = 0; n < scales.size(); ++n) {
    if (!(scales[n] >= 0.0F && scales[n] <= kLargest)) {
      refuse_tensor(ErrorCode::corrupt_file, checkpoint, name,
                    fmt::format("holds {} for row {}, expected a positive number up to {:.3g}",
                                static_cast<double>(scales[n]), n, static_cast<double>(kLargest)));
    }
    if (scales[n] == 0.0F) require_zero_row(checkpoint, weight, static_cast<Index>(n));
  }
  return scales;
}

void refuse_tensor(ErrorCode code, const Checkpoint& checkpoint, const std::string& tensor,
                   const std::string& problem) {
  throw Error(code, fmt::format("{}: tensor {} {}", checkpoint.path_of(tensor).string(),
                                detail::in_quotes(tensor), problem));
}

std::set<std::string_view> quantized_at_load(const Checkpoint& checkpoint) {
  const auto& metadata = checkpoint.files().front().metadata();
  const auto found = metadata.find(kAtLoad);
  std::set<std::string_view> names;
  if (found == metadata.end()) return names;
  for (std::string_view rest = found->second; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    names.insert(line);
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  return names;
}

std::string module_of(const StoredTensor& tensor, std::string_view suffix) {
  return tensor.name.substr(0, tensor.name.size() - suffix.size());
}

CompressedTensors read_compressed_tensors(const Config& config) {
  if (!is_format(config.string("format", ""))) config.unsupported("format", kExpectedFormat);
  if (lower(config.string("quantization_status", "compressed")) != "compressed") {
    config.unsupported("quantization_status", "\"compressed\"");
  }
  if (config.has("kv_cache_scheme")) config.unsupported("kv_cache_scheme", "null");
  if (config.has("sparsity_config") && config.size_of("sparsity_config") > 0 &&
      config.object("sparsity_config").string("format", "dense") != "dense") {
    config.unsupported("sparsity_config", "null, or the format \"dense\"");
  }
  if (config.has("transform_config") &&
      config.object("transform_config").size_of("config_groups") > 0) {
    config.unsupported("transform_config", "null");
  }

  CompressedTensors layout;
  const Config groups = config.object("config_groups");
  const auto members = groups.shown_members();
  if (members.empty()) config.wrong("config_groups", "a group at least");
  for (const auto& [name, value] : members) {
    const Config group = groups.object(name);
    if (!group.has("weights")) group.unsupported("weights", "whole numbers of 8 bits");
    layout.has_tensor_scales |= have_one_scale(group.object("weights"));
    if (group.has("input_activations")) check_activations(group.object("input_activations"));
    if (group.has("output_activations")) group.unsupported("output_activations", "null");
    if (group.has("format") && !is_format(group.string("format", ""))) {
      group.unsupported("format", kExpectedFormat);
    }
  }
  for (std::string& name : config.strings("ignore")) {
    if (!name.starts_with("re:")) layout.ignore.push_back(std::move(name));
  }
  if (config.has("input_factors")) layout.with_factors = config.strings("input_factors");
  return layout;
}

void find_scales(const CompressedTensors& layout, Checkpoint& checkpoint) {
  if (layout.with_factors) check_names_of_factors(*layout.with_factors, checkpoint);
  std::vector<std::pair<std::string, std::vector<float>>> found, factors;
  for (const StoredTensor* tensor : checkpoint.tensors()) {
    refuse_unread(layout, checkpoint, *tensor);
    if (tensor->name.ends_with(kScale)) require_numbers(checkpoint, *tensor, kScale);
    if (tensor->name.ends_with(kInputFactors)) {
      require_numbers(checkpoint, *tensor, kInputFactors);
      factors.emplace_back(module_of(*tensor, kInputFactors) + std::string(kWeight),
                           read_factors(checkpoint, *tensor));
    }
    if (tensor->type != StoredType::i8 || !tensor->name.ends_with(kWeight)) continue;
    const std::string module = module_of(*tensor, kWeight);
    if (std::find(layout.ignore.begin(), layout.ignore.end(), module) != layout.ignore.end()) {
      refuse_tensor(
          ErrorCode::corrupt_file, checkpoint, tensor->name,
          "is stored as I8, expected floats: \"ignore\" of quantization_config names the module");
    }
    found.emplace_back(tensor->name, read_scales(checkpoint, *tensor, layout.has_tensor_scales));
  }
  if (found.empty()) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: no weight of the {} tensors is stored as I8, expected those that "
                            "quantization_config of config.json says are",
                            checkpoint.path().string(), checkpoint.tensors().size()));
  }
  for (auto& [name, scales] : found) checkpoint.set_scales(name, std::move(scales));
  for (auto& [name, of_columns] : factors) checkpoint.set_factors(name, std::move(of_columns));
}

std::string compressed_tensors_json(const WrittenTensors& tensors, const char* method) {
  const auto quoted = [](const std::vector<std::string>& names) {
    std::vector<std::string> result;
    for (const std::string& name : names) result.push_back(detail::json_string(name));
    return result;
  };
  constexpr const char* kArgs =
      R"("num_bits": 8, "type": "int", "symmetric": true, "group_size": null, "block_structure": null, "actorder": null, "observer_kwargs": {})";
  std::string words, factors;
  if (tensors.has_words) {
    words = fmt::format(R"(,
      "group_1": {{
        "targets": ["Embedding"],
        "weights": {{"strategy": "channel", "dynamic": false, "observer": "minmax", {}}},
        "input_activations": null,
        "output_activations": null
      }})",
                        kArgs);
  }
  if (!tensors.with_factors.empty()) {
    factors = fmt::format(R"(
    "input_factors": [{}],)",
                          fmt::join(quoted(tensors.with_factors), ", "));
  }
  return fmt::format(
      R"({{
    "quant_method": "{}",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "config_groups": {{
      "group_0": {{
        "targets": ["Linear"],
        "weights": {{"strategy": "channel", "dynamic": false, "observer": "{}", {}}},
        "input_activations": {{"strategy": "token", "dynamic": true, "observer": null, {}}},
        "output_activations": null
      }}{}
    }},
    "ignore": [{}],{}
    "kv_cache_scheme": null,
    "global_compression_ratio": null
  }})",
      method, tensors.clips ? "mse" : "minmax", kArgs, kArgs, words,
      fmt::join(quoted(tensors.ignore), ", "), factors);
}

}  // namespace tessera::models
