// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/golden_vectors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/json.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "runtime/weights/content_hash.hpp"
#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/json_text.hpp"

namespace tessera {
namespace {

constexpr std::string_view kImage = "image.";
constexpr std::size_t kPart = std::size_t{1} << 20;  // bytes that are read together

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::corrupt_file, message);
}

template <class T>
void append_as_f32(const StoredTensor& tensor, std::vector<float>& out) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.elements()); ++i) {
    T value;
    std::memcpy(&value, tensor.data + i * sizeof value, sizeof value);
    out.push_back(static_cast<float>(value));
  }
}

GoldenTensor output_of(const StoredTensor& tensor) {
  GoldenTensor output{.name = tensor.name, .shape = tensor.shape, .values = {}};
  output.values.reserve(static_cast<std::size_t>(tensor.elements()));
  if (tensor.type == StoredType::f32) {
    append_as_f32<float>(tensor, output.values);
  } else if (tensor.type == StoredType::f64) {
    append_as_f32<double>(tensor, output.values);
  } else {
    refuse(fmt::format("tensor {} has type {}, expected F32 or F64", detail::in_quotes(tensor.name),
                       to_string(tensor.type)));
  }
  return output;
}

/// The number of an "image.N", or nothing.
std::optional<std::size_t> image_number(std::string_view name) {
  if (!name.starts_with(kImage)) return std::nullopt;
  name.remove_prefix(kImage.size());
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = error == std::errc{} && end == name.data() + name.size();
  return is_number ? std::optional(number) : std::nullopt;
}

void check_image(const StoredTensor& tensor) {
  const auto& shape = tensor.shape;
  const bool is_good = tensor.type == StoredType::u8 && shape.size() == 3 && shape[2] == 3 &&
                       shape[0] > 0 && shape[1] > 0;
  if (is_good) return;
  refuse(fmt::format("tensor {} has type {} and shape {}, expected U8 (H,W,3)",
                     detail::in_quotes(tensor.name), to_string(tensor.type),
                     shape_to_string(shape)));
}

GoldenText text_of(json::Value value) {
  std::string_view text;
  if (value.get(text)) return {.text = std::string(text)};
  const json::Array pair = value.array();
  std::string_view second;
  if (pair.size() == 2 && pair[0].get(text) && pair[1].get(second)) {
    return {.text = std::string(text), .pair = std::string(second)};
  }
  refuse(fmt::format("metadata \"texts\": got {}, expected a text or an array of two texts",
                     detail::shortened(value)));
}

/// The value of `key`, which is JSON of type T.
template <class T>
T parsed(const json::Tree& tree, const char* key, const char* expected) {
  if (!tree) refuse(fmt::format("metadata \"{}\": {}", key, tree.message()));
  T value;
  if (tree.root().get(value)) return value;
  refuse(fmt::format("metadata \"{}\": got {}, expected {}", key, detail::shortened(tree.root()),
                     expected));
}

std::vector<GoldenText> texts_of(const std::string& metadata) {
  const json::Tree tree = json::Tree::parse(metadata);
  const auto array = parsed<json::Array>(tree, "texts", "a JSON array");
  std::vector<GoldenText> texts;
  for (const json::Value value : array) texts.push_back(text_of(value));
  if (texts.empty()) refuse("metadata \"texts\": got none, expected one for each sequence");
  return texts;
}

WeightSums stored_sums(const std::string& metadata) {
  const json::Tree tree = json::Tree::parse(metadata);
  const auto object = parsed<json::Object>(tree, "weights", "a JSON object");
  WeightSums sums;
  for (const json::Member member : object) {
    std::string_view sum;
    if (!member.value.get(sum)) {
      refuse(fmt::format("metadata \"weights\": got {} for {}, expected a checksum",
                         detail::shortened(member.value), detail::in_quotes(member.key)));
    }
    sums.emplace(member.key, sum);
  }
  if (sums.empty()) refuse("metadata \"weights\": got none, expected one for each tensor");
  return sums;
}

Index cut_from(const std::string& metadata) {
  const json::Tree tree = json::Tree::parse(metadata);
  const auto most = parsed<std::int64_t>(tree, "max_tokens", "a number");
  if (most > 0) return most;
  refuse(fmt::format("metadata \"max_tokens\": got {}, expected 1 or more", most));
}

Precision precision_of(const std::string& name) {
  for (const Precision precision : kModelPrecisions) {
    if (name == option_name(precision)) return precision;
  }
  refuse(fmt::format("metadata \"precision\": got {}, expected fp32, bf16 or int8",
                     detail::in_quotes(name)));
}

void read(GoldenVectors& vectors) {
  for (const StoredTensor& tensor : vectors.file.tensors()) {
    if (is_text_input(tensor.name) || tensor.name == kPixelValues) continue;
    if (const auto number = image_number(tensor.name)) {
      check_image(tensor);
      vectors.images.emplace_back(*number, tensor);
      continue;
    }
    vectors.outputs.push_back(output_of(tensor));
  }
  vectors.kinds = {.has_texts = vectors.file.find("input_ids") != nullptr,
                   .has_images = vectors.file.find(kPixelValues) != nullptr};
  if (!vectors.kinds.has_texts && !vectors.kinds.has_images) {
    refuse(
        fmt::format("got no tensor \"input_ids\" or \"{}\", expected what the outputs were "
                    "computed of",
                    kPixelValues));
  }
  if (!vectors.images.empty() && !vectors.kinds.has_images) {
    refuse(fmt::format("got image.{}, but no tensor \"{}\", expected what was made of it",
                       vectors.images.front().first, kPixelValues));
  }
  if (vectors.outputs.empty()) {
    refuse("got no outputs, expected some of the model's, such as \"last_hidden_state\"");
  }
  for (const auto& [key, value] : vectors.file.metadata()) {
    if (key == "texts") vectors.texts = texts_of(value);
    if (key == "weights") vectors.weights = stored_sums(value);
    if (key == "precision") vectors.precision = precision_of(value);
    if (key == "made_by") vectors.made_by = value;
    if (key == "route") vectors.route = value;
    if (key == "max_tokens") vectors.max_tokens = cut_from(value);
  }
}

}  // namespace

GoldenVectors GoldenVectors::open(const std::string& path) {
  GoldenVectors vectors{.path = path,
                        .made_by = {},
                        .route = {},
                        .outputs = {},
                        .texts = {},
                        .images = {},
                        .weights = {},
                        .file = SafetensorsFile::open(path)};
  about(path, [&] { read(vectors); });
  return vectors;
}

WeightSums sums_of(const Checkpoint& checkpoint) {
  WeightSums sums;
  std::vector<std::byte> part(kPart);
  for (const StoredTensor* tensor : checkpoint.tensors()) {
    ContentHash hash;
    for (std::size_t at = 0; at < tensor->bytes; at += kPart) {
      const std::size_t size = std::min(kPart, tensor->bytes - at);
      checkpoint.read({tensor->data + at, size}, part.data());
      hash.update(std::span(part).first(size));
    }
    sums.emplace(tensor->name, fmt::format("{:016x}", hash.value()));
  }
  return sums;
}

std::string cut_of(const models::Package& package) {
  return fmt::format("{}", package.max_tokens);
}

std::string texts_to_json(const std::vector<GoldenText>& texts) {
  std::string json = "[";
  for (const GoldenText& each : texts) {
    if (json.size() > 1) json += ",";
    if (each.pair) json += "[";
    append_json_string(json, each.text);
    if (!each.pair) continue;
    json += ",";
    append_json_string(json, *each.pair);
    json += "]";
  }
  return json + "]";
}

std::string sums_to_json(const WeightSums& sums) {
  std::string json = "{";
  for (const auto& [name, sum] : sums) {
    if (json.size() > 1) json += ",";
    append_json_string(json, name);
    json += ":\"" + sum + "\"";
  }
  return json + "}";
}

}  // namespace tessera
