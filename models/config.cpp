// SPDX-License-Identifier: Apache-2.0
#include "models/config.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "models/json.hpp"

namespace tessera::models {

namespace fs = std::filesystem;

struct Config::Json {
  json::Document document;  // owns what `object` points into
  json::Object object;

  /// The member as a T; nothing if it is absent or null. Complains in the name of `config`.
  template <class T>
  static std::optional<T> find(const Config& config, std::string_view key,
                               const std::string& expected) {
    const auto found = config.json_->object.find(key);
    if (!found || found->is_null()) return std::nullopt;
    T value{};
    if (!found->get(value)) config.wrong(key, expected);
    return value;
  }
};

namespace {

constexpr std::string_view kObject = "a JSON object";
constexpr std::string_view kObjects = "a JSON array of objects";

}  // namespace

Config::Config(const json::Document& document, const json::Node& object, std::string name)
    : json_(std::make_shared<const Json>(Json{document, json::as_object(object)})),
      name_(std::move(name)) {}

Config Config::read(const fs::path& file, const std::string& shown_as) {
  const auto document = json::Document::read(file, shown_as, kObject);
  return {document, document.root(), shown_as};
}

Config Config::parse(std::string_view text, const std::string& shown_as) {
  const auto document = json::Document::parse(std::string(text), shown_as, kObject);
  return {document, document.root(), shown_as};
}

std::vector<Config> Config::read_list(const fs::path& file, const std::string& shown_as) {
  const auto document = json::Document::read(file, shown_as, kObjects);
  std::vector<Config> list;
  for (const json::Value element : json::as_array(document.root())) {
    std::string name = fmt::format("{}[{}]", shown_as, list.size());
    list.push_back(Config(document, json::item(document.root(), list.size(), element), name));
  }
  return list;
}

bool Config::has(std::string_view key) const {
  const auto found = json_->object.find(key);
  return found && !found->is_null();
}

bool Config::is_null(std::string_view key) const {
  const auto found = json_->object.find(key);
  return found && found->is_null();
}

void Config::complain(ErrorCode code, std::string_view key, std::string_view why,
                      const std::string& expected) const {
  const auto found = json_->object.find(key);
  json::complain(code, fmt::format("{}: \"{}\"", name_, key),
                 fmt::format("{}{}", found ? json::shown(*found) : "absent", why), expected);
}

void Config::wrong(std::string_view key, const std::string& expected) const {
  complain(ErrorCode::corrupt_file, key, "", expected);
}

void Config::unsupported(std::string_view key, const std::string& expected) const {
  complain(ErrorCode::unsupported_model, key, json::kNotComputed, expected);
}

Index Config::integer(std::string_view key, Index fallback, Index min, Index max) const {
  const std::string expected = fmt::format("a whole number from {} to {}", min, max);
  const auto number = Json::find<std::int64_t>(*this, key, expected);
  if (number && (*number < min || *number > max)) wrong(key, expected);
  return static_cast<Index>(number.value_or(fallback));
}

Dim Config::dim(std::string_view key, Index fallback, Index min) const {
  return {.size = integer(key, fallback, min), .key = std::string(key)};
}

std::vector<Index> Config::integers(std::string_view key, const std::vector<Index>& fallback,
                                    Index min, Index max) const {
  const std::string expected = fmt::format("an array of whole numbers from {} to {}", min, max);
  const auto value = Json::find<json::Value>(*this, key, expected);
  if (!value) return fallback;
  if (!value->is_array()) wrong(key, expected);
  std::vector<Index> list;
  for (const json::Value element : value->array()) {
    std::int64_t number = 0;
    if (!element.get(number) || number < min || number > max) wrong(key, expected);
    list.push_back(static_cast<Index>(number));
  }
  return list;
}

Config::Pair Config::pair(std::string_view key, Index fallback) const {
  const char* const kExpected = "a size, or [height, width]";
  const auto value = Json::find<json::Value>(*this, key, kExpected);
  if (!value || !value->is_array()) {
    const Index size = integer(key, fallback, 1);
    return {size, size};
  }
  std::vector<Index> sizes;
  for (const json::Value element : value->array()) {
    std::int64_t size = 0;
    const bool ok =
        element.get(size) && size >= 1 && size <= std::numeric_limits<std::int32_t>::max();
    if (!ok) wrong(key, kExpected);
    sizes.push_back(static_cast<Index>(size));
  }
  if (sizes.size() != 2) wrong(key, kExpected);
  return {sizes[0], sizes[1]};
}

Config Config::object(std::string_view key) const {
  const std::string name = fmt::format("{} {}", name_, key);
  const auto value = Json::find<json::Value>(*this, key, "an object");
  if (!value) return parse("{}", name);
  if (!value->is_object()) wrong(key, "an object");
  return {json_->document, {name, *value}, name};
}

double Config::number(std::string_view key, double fallback, double min) const {
  const std::string expected = fmt::format("a number of at least {}", min);
  const auto number = Json::find<double>(*this, key, expected);
  if (number && (!std::isfinite(*number) || *number < min)) wrong(key, expected);
  return number.value_or(fallback);
}

bool Config::boolean(std::string_view key, bool fallback) const {
  return Json::find<bool>(*this, key, "true or false").value_or(fallback);
}

std::string Config::string(std::string_view key, std::string_view fallback) const {
  return std::string(Json::find<std::string_view>(*this, key, "a string").value_or(fallback));
}

std::vector<std::string> Config::strings(std::string_view key) const {
  const char* const kExpected = "an array of strings";
  const auto value = Json::find<json::Value>(*this, key, kExpected);
  if (!value) return {};
  std::string_view text;
  if (value->get(text)) return {std::string(text)};
  if (!value->is_array()) wrong(key, kExpected);
  std::vector<std::string> list;
  for (const json::Value element : value->array()) {
    if (!element.get(text)) wrong(key, kExpected);
    list.emplace_back(text);
  }
  return list;
}

std::vector<double> Config::numbers(std::string_view key) const {
  const char* const kExpected = "an array of numbers";
  const auto value = Json::find<json::Value>(*this, key, kExpected);
  if (!value) return {};
  if (!value->is_array()) wrong(key, kExpected);
  std::vector<double> list;
  for (const json::Value element : value->array()) {
    double number = 0.0;
    if (!element.get(number) || !std::isfinite(number)) wrong(key, kExpected);
    list.push_back(number);
  }
  return list;
}

std::map<std::string, std::string> Config::string_map(std::string_view key) const {
  const char* const kExpected = "an object of strings";
  const auto object = Json::find<json::Object>(*this, key, kExpected);
  if (!object) return {};
  std::map<std::string, std::string> map;
  for (const json::Member pair : *object) {
    std::string_view text;
    if (pair.value.is_null()) continue;
    if (pair.value.get(text)) {
      map[std::string(pair.key)] = std::string(text);
    } else if (pair.value.is_number() || pair.value.type() == json::Type::boolean) {
      map[std::string(pair.key)] = json::minify(pair.value);  // labels 0, 1, … in some files
    } else {
      wrong(key, kExpected);
    }
  }
  return map;
}

std::vector<std::pair<std::string, std::string>> Config::shown_members() const {
  std::vector<std::pair<std::string, std::string>> members;
  for (const json::Member pair : json_->object) {
    members.emplace_back(pair.key, json::shown(pair.value));
  }
  return members;
}

std::size_t Config::size_of(std::string_view key) const {
  const auto value = Json::find<json::Value>(*this, key, "");
  if (!value) return 0;
  if (value->is_array()) return value->array().size();
  return value->is_object() ? value->object().size() : 1;
}

Activation Config::activation(std::string_view key, std::string_view fallback) const {
  // The names of transformers v4.57 activations.py ACT2FN that have an equal here. "gelu_fast" and
  // "gelu_accurate" are the tanh form with the same constants.
  struct Name {
    const char* name;
    Activation activation;
  };
  static constexpr std::array kNames{
      Name{"gelu", Activation::gelu_erf},
      Name{"gelu_python", Activation::gelu_erf},
      Name{"gelu_new", Activation::gelu_tanh},
      Name{"gelu_pytorch_tanh", Activation::gelu_tanh},
      Name{"gelu_python_tanh", Activation::gelu_tanh},
      Name{"gelu_fast", Activation::gelu_tanh},
      Name{"gelu_accurate", Activation::gelu_tanh},
      Name{"quick_gelu", Activation::gelu_quick},
      Name{"relu", Activation::relu},
      Name{"tanh", Activation::tanh},
      Name{"silu", Activation::silu},
      Name{"swish", Activation::silu},
      Name{"sigmoid", Activation::sigmoid},
      Name{"linear", Activation::none},
  };
  const std::string name = string(key, fallback);
  std::string known;
  for (const Name& entry : kNames) {
    if (name == entry.name) return entry.activation;
    known += known.empty() ? entry.name : fmt::format(", {}", entry.name);
  }
  unsupported(key, "one of " + known);
}

}  // namespace tessera::models
