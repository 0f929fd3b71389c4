// SPDX-License-Identifier: Apache-2.0
#include "models/weight_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera::models {
namespace {

std::string shape_of(const StoredTensor& tensor) {
  return fmt::format("({})", fmt::join(tensor.shape, ","));
}

std::string shape_of(std::initializer_list<Dim> shape) {
  std::vector<Index> sizes;
  for (const Dim& dim : shape) sizes.push_back(dim.size);
  return fmt::format("({})", fmt::join(sizes, ","));
}

/// " from config.json hidden_size=1024, intermediate_size=4096"; empty if no size has a key.
std::string origin_of(std::initializer_list<Dim> shape, const std::string& config_name) {
  std::string text;
  std::set<std::string> said;
  for (const Dim& dim : shape) {
    if (dim.key.empty() || !said.insert(dim.key).second) continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", dim.key, dim.size);
  }
  return text.empty() ? text : fmt::format(" from {} {}", config_name, text);
}

/// Norms of before 2020: LayerNorm.gamma, LayerNorm.beta.   transformers v4.57 modeling_utils.py
std::string old_norm_spelling(const std::string& name) {
  constexpr std::string_view kWeight = "LayerNorm.weight", kBias = "LayerNorm.bias";
  if (name.ends_with(kWeight)) {
    return name.substr(0, name.size() - kWeight.size()) + "LayerNorm.gamma";
  }
  if (name.ends_with(kBias)) return name.substr(0, name.size() - kBias.size()) + "LayerNorm.beta";
  return {};
}

}  // namespace

WeightMap::WeightMap(const Checkpoint& checkpoint, std::string where, std::string base_prefix,
                     std::string config_name)
    : checkpoint_(checkpoint),
      where_(std::move(where)),
      base_prefix_(std::move(base_prefix)),
      config_name_(std::move(config_name)) {
  is_bare_ =
      std::none_of(checkpoint_.tensors().begin(), checkpoint_.tensors().end(),
                   [this](const StoredTensor* t) { return t->name.starts_with(base_prefix_); });
}

std::vector<std::string> WeightMap::spellings(std::string_view name) const {
  std::vector<std::string> names{std::string(name)};
  if (!base_prefix_.empty() && name.starts_with(base_prefix_)) {
    names.emplace_back(name.substr(base_prefix_.size()));
    if (is_bare_) std::swap(names[0], names[1]);
  }
  for (std::size_t i = 0, n = names.size(); i < n; ++i) {
    std::string old = old_norm_spelling(names[i]);
    if (!old.empty()) names.push_back(std::move(old));
  }
  return names;
}

const StoredTensor* WeightMap::look_up(std::string_view name) const {
  for (const std::string& spelling : spellings(name)) {
    if (const StoredTensor* tensor = checkpoint_.find(spelling)) return tensor;
  }
  return nullptr;
}

std::string WeightMap::find(std::string_view name, std::initializer_list<Dim> shape) const {
  const StoredTensor* tensor = look_up(name);
  if (tensor == nullptr) {
    throw Error(
        ErrorCode::not_found,
        fmt::format("{}: no tensor \"{}\" among the {} of {}, expected it with shape {}{}", where_,
                    spellings(name)[0], checkpoint_.tensors().size(), checkpoint_.path().string(),
                    shape_of(shape), origin_of(shape, config_name_)));
  }
  const bool fits = std::equal(shape.begin(), shape.end(), tensor->shape.begin(),
                               tensor->shape.end(), [](const Dim& dim, std::int64_t size) {
                                 return static_cast<std::int64_t>(dim.size) == size;
                               });
  const bool is_packed = tensor->type == StoredType::u8;  // and nothing says how
  const bool is_ternary = tensor->type == StoredType::ternary;
  if (!fits && !is_packed) {
    const bool is_uneven = is_ternary && shape.size() == 2 && shape.begin()->size % 4 != 0;
    throw Error(
        is_uneven ? ErrorCode::unsupported_model : ErrorCode::corrupt_file,
        fmt::format("{}: tensor \"{}\" has shape {}{}, expected {}{}{}", where_, tensor->name,
                    shape_of(*tensor), is_ternary ? ", four rows in a byte" : "", shape_of(shape),
                    origin_of(shape, config_name_),
                    is_uneven ? ", which would have to be a multiple of 4" : ""));
  }
  if (!checkpoint_.weight_type(*tensor)) {
    const bool is_whole = tensor->type == StoredType::i8 || is_packed;
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: tensor \"{}\" is stored as {}, expected F32, F16 or BF16{}",
                            where_, tensor->name, to_string(tensor->type),
                            is_whole ? ", or quantization_config in " + config_name_ +
                                           " and a weight_scale, which say what it counts in"
                                     : ""));
  }
  return tensor->name;
}

float WeightMap::scalar(std::string_view name) const {
  const StoredTensor* tensor = look_up(name);
  if (tensor == nullptr || tensor->shape.empty()) {
    find(name, {});  // throws unless it has shape ()
  } else if (tensor->elements() != 1) {
    find(name, {Dim{.size = 1, .key = {}}});
  }
  const std::vector<float> value = checkpoint_.values(*tensor);
  if (value.empty()) find(name, {Dim{.size = 1, .key = {}}});  // throws: the dtype is no weight's
  return value.front();
}

std::vector<float> WeightMap::values(std::string_view name, const Dim& size) const {
  return checkpoint_.values(checkpoint_.at(find(name, {size})));
}

std::string_view WeightMap::first_of(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : names) {
    if (has(name)) return name;
  }
  return *names.begin();
}

}  // namespace tessera::models
