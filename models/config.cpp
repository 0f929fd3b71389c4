// SPDX-License-Identifier: Apache-2.0
#include "models/config.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <cmath>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {

namespace dom = simdjson::dom;
namespace fs = std::filesystem;

struct Config::Json {
  std::shared_ptr<dom::parser> document;  // owns what `object` points into
  dom::object object;

  /// The last value of the key: a key given twice means the last one, as in Python.
  std::optional<dom::element> find(std::string_view key) const {
    std::optional<dom::element> found;
    for (const dom::key_value_pair pair : object) {
      if (pair.key == key) found = pair.value;
    }
    if (found && found->is_null()) return std::nullopt;
    return found;
  }
};

namespace {

/// Longest text of a JSON value that goes into a message.
constexpr std::size_t kShownCharacters = 60;

struct Document {
  std::shared_ptr<dom::parser> parser = std::make_shared<dom::parser>();
  dom::element root;
};

[[noreturn]] void no_json(const std::string& shown_as, simdjson::error_code error,
                          const char* expected) {
  throw Error(ErrorCode::corrupt_file, fmt::format("{}: {}, expected {}", shown_as,
                                                   simdjson::error_message(error), expected));
}

Document load(const fs::path& file, const std::string& shown_as, const char* expected) {
  if (!path_exists(file)) {
    throw Error(ErrorCode::not_found, fmt::format("{}: no such file in {}, expected {}", shown_as,
                                                  file.parent_path().string(), expected));
  }
  simdjson::padded_string text;
  if (const auto bytes = find_in_memory(file)) {
    text = simdjson::padded_string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  } else if (!file_exists(file) ||
             simdjson::padded_string::load(file.string()).get(text) != simdjson::SUCCESS) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: {} cannot be read, expected a file", shown_as, file.string()));
  }
  Document document;
  if (const auto error = document.parser->parse(text).get(document.root)) {
    no_json(shown_as, error, expected);
  }
  return document;
}

}  // namespace

Config Config::read(const fs::path& file, const std::string& shown_as) {
  const Document document = load(file, shown_as, "a JSON object");
  Config config(shown_as);
  dom::object object;
  if (const auto error = document.root.get(object)) no_json(shown_as, error, "a JSON object");
  config.json_ = std::make_shared<const Json>(Json{document.parser, object});
  return config;
}

Config Config::parse(std::string_view json, const std::string& shown_as) {
  Document document;
  const simdjson::padded_string text(json);
  dom::object object;
  if (const auto error = document.parser->parse(text).get(object)) {
    no_json(shown_as, error, "a JSON object");
  }
  Config config(shown_as);
  config.json_ = std::make_shared<const Json>(Json{document.parser, object});
  return config;
}

std::vector<Config> Config::read_list(const fs::path& file, const std::string& shown_as) {
  constexpr const char* kExpected = "a JSON array of objects";
  const Document document = load(file, shown_as, kExpected);
  dom::array array;
  if (const auto error = document.root.get(array)) no_json(shown_as, error, kExpected);
  std::vector<Config> list;
  for (const dom::element element : array) {
    dom::object object;
    if (const auto error = element.get(object)) no_json(shown_as, error, kExpected);
    list.push_back(Config(fmt::format("{}[{}]", shown_as, list.size())));
    list.back().json_ = std::make_shared<const Json>(Json{document.parser, object});
  }
  return list;
}

bool Config::has(std::string_view key) const {
  return json_->find(key).has_value();
}

bool Config::is_null(std::string_view key) const {
  bool null = false;
  for (const dom::key_value_pair pair : json_->object) {
    if (pair.key == key) null = pair.value.is_null();
  }
  return null;
}

std::string Config::shown(std::string_view key) const {
  const auto value = json_->find(key);
  if (!value) return is_null(key) ? "null" : "absent";
  std::string text = simdjson::minify(*value);
  if (text.size() > kShownCharacters) text = text.substr(0, kShownCharacters) + "...";
  return text;
}

void Config::wrong(std::string_view key, const std::string& expected) const {
  throw Error(ErrorCode::corrupt_file,
              fmt::format("{}: \"{}\" is {}, expected {}", name_, key, shown(key), expected));
}

void Config::unsupported(std::string_view key, const std::string& expected) const {
  throw Error(ErrorCode::unsupported_model,
              fmt::format("{}: \"{}\" is {}, which this version does not compute, expected {}",
                          name_, key, shown(key), expected));
}

Index Config::integer(std::string_view key, Index fallback, Index min, Index max) const {
  const auto value = json_->find(key);
  if (!value) return fallback;
  std::int64_t number = 0;
  if (value->get(number) != simdjson::SUCCESS || number < min || number > max) {
    wrong(key, fmt::format("a whole number from {} to {}", min, max));
  }
  return static_cast<Index>(number);
}

Dim Config::dim(std::string_view key, Index fallback, Index min, std::string_view alias) const {
  const std::string_view used = !alias.empty() && has(alias) ? alias : key;
  return {.size = integer(used, fallback, min), .key = std::string(used)};
}

Config::Pair Config::pair(std::string_view key, Index fallback) const {
  const auto value = json_->find(key);
  dom::array array;
  if (!value || value->get(array) != simdjson::SUCCESS) {
    const Index size = integer(key, fallback, 1);
    return {size, size};
  }
  std::vector<Index> sizes;
  for (const dom::element element : array) {
    std::int64_t size = 0;
    const bool ok = element.get(size) == simdjson::SUCCESS && size >= 1 &&
                    size <= std::numeric_limits<std::int32_t>::max();
    if (!ok) wrong(key, "a size, or [height, width]");
    sizes.push_back(static_cast<Index>(size));
  }
  if (sizes.size() != 2) wrong(key, "a size, or [height, width]");
  return {sizes[0], sizes[1]};
}

Config Config::object(std::string_view key) const {
  const auto value = json_->find(key);
  if (!value) return parse("{}", fmt::format("{} {}", name_, key));
  Config config(fmt::format("{} {}", name_, key));
  dom::object object;
  if (value->get(object) != simdjson::SUCCESS) wrong(key, "an object");
  config.json_ = std::make_shared<const Json>(Json{json_->document, object});
  return config;
}

double Config::number(std::string_view key, double fallback, double min) const {
  const auto value = json_->find(key);
  if (!value) return fallback;
  double number = 0.0;
  if (value->get(number) != simdjson::SUCCESS || !std::isfinite(number) || number < min) {
    wrong(key, fmt::format("a number of at least {}", min));
  }
  return number;
}

bool Config::boolean(std::string_view key, bool fallback) const {
  const auto value = json_->find(key);
  if (!value) return fallback;
  bool truth = false;
  if (value->get(truth) != simdjson::SUCCESS) wrong(key, "true or false");
  return truth;
}

std::string Config::string(std::string_view key, std::string_view fallback) const {
  const auto value = json_->find(key);
  if (!value) return std::string(fallback);
  std::string_view text;
  if (value->get(text) != simdjson::SUCCESS) wrong(key, "a string");
  return std::string(text);
}

std::vector<std::string> Config::strings(std::string_view key) const {
  const auto value = json_->find(key);
  if (!value) return {};
  std::string_view text;
  if (value->get(text) == simdjson::SUCCESS) return {std::string(text)};
  dom::array array;
  if (value->get(array) != simdjson::SUCCESS) wrong(key, "an array of strings");
  std::vector<std::string> list;
  for (const dom::element element : array) {
    if (element.get(text) != simdjson::SUCCESS) wrong(key, "an array of strings");
    list.emplace_back(text);
  }
  return list;
}

std::map<std::string, std::string> Config::string_map(std::string_view key) const {
  const auto value = json_->find(key);
  if (!value) return {};
  dom::object object;
  if (value->get(object) != simdjson::SUCCESS) wrong(key, "an object of strings");
  std::map<std::string, std::string> map;
  for (const dom::key_value_pair pair : object) {
    std::string_view text;
    if (pair.value.is_null()) continue;
    if (pair.value.get(text) == simdjson::SUCCESS) {
      map[std::string(pair.key)] = std::string(text);
    } else if (pair.value.is_int64() || pair.value.is_double() || pair.value.is_bool()) {
      map[std::string(pair.key)] = simdjson::minify(pair.value);  // labels 0, 1, … in some files
    } else {
      wrong(key, "an object of strings");
    }
  }
  return map;
}

std::size_t Config::size_of(std::string_view key) const {
  const auto value = json_->find(key);
  if (!value) return 0;
  dom::array array;
  dom::object object;
  if (value->get(array) == simdjson::SUCCESS) return array.size();
  if (value->get(object) == simdjson::SUCCESS) return object.size();
  return 1;
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
