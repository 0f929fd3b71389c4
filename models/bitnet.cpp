// SPDX-License-Identifier: Apache-2.0
#include "models/bitnet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "models/compressed_tensors.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/weights/ternary_rows.hpp"

namespace tessera::models {
namespace {

constexpr std::string_view kWords = "word_embeddings.weight";

bool is_table_of_words(const StoredTensor& tensor) {
  return tensor.name == kWords || tensor.name.ends_with(fmt::format(".{}", kWords));
}

/// "pooler" names "bert.pooler.dense".
bool is_named(const std::vector<std::string>& names, const std::string& module) {
  const std::string dotted = fmt::format(".{}.", module);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return dotted.find(fmt::format(".{}.", name)) != std::string::npos;
  });
}

/// The tensor with the scales of `weight`, (N,K) when it is unpacked.
const StoredTensor& scale_of(const Bitnet& layout, const Checkpoint& checkpoint,
                             const StoredTensor& weight) {
  const std::int64_t N = weight.shape[0] * kTernaryRows;
  const std::string name = module_of(weight, kWeight) + std::string(kScale);
  const std::string expected = layout.has_channel_scales
                                   ? fmt::format("({}): one for each row, four in a byte", N)
                                   : std::string(
                                         "(1), or \"weight_scale_strategy\": \"channel\" in "
                                         "quantization_config");
  const StoredTensor* const scale = checkpoint.find(name);
  if (scale == nullptr) {
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, weight.name,
                  fmt::format("is stored as U8 and there is no {}, expected it with shape {}",
                              detail::in_quotes(name), expected));
  }
  const std::vector<std::int64_t>& shape = scale->shape;
  const bool is_column = shape.size() == 1 || (shape.size() == 2 && shape[1] == 1);
  const bool fits = layout.has_channel_scales ? is_column && shape[0] == N
                                              : shape.size() <= 1 && scale->elements() == 1;
  if (!fits) {
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, name,
                  fmt::format("has shape {}, expected {}", shape_to_string(shape), expected));
  }
  if (!weight_dtype(scale->type)) {
    refuse_tensor(
        ErrorCode::unsupported_model, checkpoint, name,
        fmt::format("is stored as {}, expected F32, F16 or BF16", to_string(scale->type)));
  }
  return *scale;
}

/// 1 / weight_scale of each row.
std::vector<float> steps_of(const Bitnet& layout, const Checkpoint& checkpoint,
                            const StoredTensor& weight) {
  if (weight.shape.size() != 2) {
    refuse_tensor(ErrorCode::unsupported_model, checkpoint, weight.name,
                  fmt::format("is stored as U8 with shape {}, expected (N/4, K), a linear's",
                              shape_to_string(weight.shape)));
  }
  if (is_named(layout.not_converted, module_of(weight, kWeight))) {
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, weight.name,
                  "is stored as U8, expected floats: \"modules_to_not_convert\" of "
                  "quantization_config names the module");
  }
  const StoredTensor& scale = scale_of(layout, checkpoint, weight);
  std::vector<float> steps = checkpoint.values(scale);
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (std::size_t n = 0; n < steps.size(); ++n) {
    const float divisor = steps[n];
    steps[n] = 1.0F / divisor;
    if (divisor > 0.0F && divisor <= kLargest && steps[n] <= kLargest) continue;
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, scale.name,
                  fmt::format("holds {} at {}, expected a positive number, which divides",
                              static_cast<double>(divisor), n));
  }
  if (!layout.has_channel_scales) {
    steps.assign(static_cast<std::size_t>(weight.shape[0] * kTernaryRows), steps.front());
  }
  return steps;
}

/// A scale beside floats, or beside nothing.
void require_weight(const Checkpoint& checkpoint, const StoredTensor& scale) {
  const std::string name = module_of(scale, kScale) + std::string(kWeight);
  const StoredTensor* const weight = checkpoint.find(name);
  if (weight != nullptr && (weight->type == StoredType::u8 || weight->type == StoredType::i8)) {
    return;
  }
  refuse_tensor(
      ErrorCode::corrupt_file, checkpoint, scale.name,
      fmt::format("is the scale of {}, which {}, expected U8", detail::in_quotes(name),
                  weight == nullptr ? std::string("is not there")
                                    : fmt::format("is stored as {}", to_string(weight->type))));
}

std::vector<float> scales_of_words(const Bitnet& layout, const Checkpoint& checkpoint,
                                   const StoredTensor& tensor) {
  if (!is_table_of_words(tensor)) {
    refuse_tensor(
        ErrorCode::unsupported_model, checkpoint, tensor.name,
        fmt::format("is stored as I8, expected U8, or floats: whole numbers of 8 bits are "
                    "those of {} alone",
                    kWords));
  }
  if (!layout.has_whole_words) {
    refuse_tensor(ErrorCode::unsupported_model, checkpoint, tensor.name,
                  "is stored as I8, expected \"word_embeddings\" in quantization_config of "
                  "config.json, which says what it counts in");
  }
  return read_scales(checkpoint, tensor, layout.words_may_have_one_scale);
}

}  // namespace

Bitnet read_bitnet(const Config& config) {
  if (config.string("linear_class", "bitlinear") != "bitlinear") {
    config.unsupported("linear_class",
                       "\"bitlinear\", whose weight_scale divides (that of \"autobitlinear\" "
                       "multiplies, the bias too)");
  }
  if (config.string("quantization_mode", "offline") != "offline") {
    config.unsupported("quantization_mode",
                       "\"offline\": weights that are stored as -1, 0 and 1 (\"online\" stores "
                       "floats, to be rounded whenever they are multiplied)");
  }
  if (config.boolean("use_rms_norm", false)) {
    config.unsupported("use_rms_norm", "false: no norm inside a linear");
  }
  const std::string strategy = config.string("weight_scale_strategy", "tensor");
  if (strategy != "tensor" && strategy != "channel") {
    config.unsupported("weight_scale_strategy", "\"tensor\" or \"channel\"");
  }
  Bitnet layout;
  layout.has_channel_scales = strategy == "channel";
  if (config.has("word_embeddings")) {
    layout.has_whole_words = true;
    layout.words_may_have_one_scale = have_one_scale(config.object("word_embeddings"));
  }
  layout.not_converted = config.strings("modules_to_not_convert");
  return layout;
}

void find_scales(const Bitnet& layout, Checkpoint& checkpoint) {
  std::vector<std::pair<std::string, std::vector<float>>> ternary, words;
  for (const StoredTensor* tensor : checkpoint.tensors()) {
    if (tensor->name.ends_with(kScale)) require_weight(checkpoint, *tensor);
    if (!tensor->name.ends_with(kWeight)) continue;
    if (tensor->type == StoredType::u8) {
      ternary.emplace_back(tensor->name, steps_of(layout, checkpoint, *tensor));
    } else if (tensor->type == StoredType::i8) {
      words.emplace_back(tensor->name, scales_of_words(layout, checkpoint, *tensor));
    }
  }
  if (ternary.empty()) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: no weight of the {} tensors is stored as U8, expected those that "
                            "quantization_config of config.json says are",
                            checkpoint.path().string(), checkpoint.tensors().size()));
  }
  for (auto& [name, steps] : ternary) checkpoint.set_ternary(name, std::move(steps));
  for (auto& [name, scales] : words) checkpoint.set_scales(name, std::move(scales));
}

}  // namespace tessera::models
