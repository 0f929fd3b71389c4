// SPDX-License-Identifier: Apache-2.0
#include "models/json.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "runtime/base/files.hpp"

namespace tessera::json {
namespace {

namespace fs = std::filesystem;

std::string load(const fs::path& file) {
  std::string content;
  std::size_t size = 0;
  try {
    read_file(file, [&](std::size_t bytes) {
      size = bytes;
      content.resize(bytes);
      return content.data();
    });
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory,
                fmt::format("{}: got {} bytes, expected a file that fits into memory",
                            file.string(), size));
  }
  return content;
}

void check_is_itself(const fs::path& file, std::string_view content) {
  const std::string_view got = stand_in(content.substr(0, 64));
  if (got.empty()) return;
  throw Error(ErrorCode::corrupt_file, fmt::format("{}: got {}, expected the {} of the model",
                                                   file.string(), got, file.filename().string()));
}

bool is_root(const Node& node) {
  return node.where.ends_with(": ");
}

std::string child(const Node& object, std::string_view key) {
  return fmt::format("{}{}{}", object.where, is_root(object) ? "" : ".", key);
}

template <class T>
T value_as(const Node& node, std::string_view expected) {
  T value{};
  if (!node.value.get(value)) wrong(node, expected);
  return value;
}

}  // namespace

Document Document::read(const fs::path& file, const std::string& shown_as,
                        std::string_view expected) {
  if (!path_exists(file)) {
    throw Error(ErrorCode::not_found, fmt::format("{}: no such file in {}, expected {}", shown_as,
                                                  file.parent_path().string(), expected));
  }
  std::string text = load(file);
  check_is_itself(file, text);
  return parse(std::move(text), shown_as, expected);
}

Document Document::parse(std::string text, const std::string& shown_as, std::string_view expected) {
  Document document;
  document.tree_ = Tree::parse(std::move(text));
  if (!document.tree_) {
    throw Error(ErrorCode::corrupt_file, fmt::format("{}: not valid JSON ({}), expected {}",
                                                     shown_as, document.tree_.message(), expected));
  }
  document.root_ = {shown_as + ": ", document.tree_.root()};
  return document;
}

std::string read_text(const fs::path& file) {
  std::string text = load(file);
  check_is_itself(file, text);
  return text;
}

std::string shown(Value value) {
  constexpr std::size_t kMost = 60;
  std::string text = minify(value);
  return text.size() > kMost ? text.substr(0, kMost) + "..." : text;
}

void complain(ErrorCode code, std::string_view where, std::string_view got,
              std::string_view expected) {
  throw Error(code, fmt::format("{} is {}, expected {}", where, got, expected));
}

void wrong(const Node& node, std::string_view expected) {
  complain(ErrorCode::corrupt_file, node.where + (is_root(node) ? "the file" : ""),
           type_name(node.value), expected);
}

void unsupported(const Node& node, std::string_view expected) {
  complain(ErrorCode::unsupported_model, node.where,
           fmt::format("{}{}", shown(node.value), kNotComputed), expected);
}

std::optional<Node> find(const Node& object, std::string_view key) {
  const auto value = as_object(object).find(key);
  if (!value || value->is_null()) return std::nullopt;
  return member(object, key, *value);
}

Node require(const Node& object, std::string_view key, std::string_view expected) {
  if (auto node = find(object, key)) return *std::move(node);
  throw Error(ErrorCode::corrupt_file,
              fmt::format("{} is missing, expected {}", child(object, key), expected));
}

Node member(const Node& object, std::string_view key, Value value) {
  return {child(object, key), value};
}

Node item(const Node& array, std::size_t index, Value value) {
  return {fmt::format("{}[{}]", array.where, index), value};
}

bool as_bool(const Node& node) {
  return value_as<bool>(node, "a boolean");
}

std::string_view as_string(const Node& node) {
  return value_as<std::string_view>(node, "a string");
}

std::int32_t as_id(const Node& node) {
  constexpr std::int64_t kLast = std::numeric_limits<std::int32_t>::max() - 1;
  std::int64_t value = -1;
  if (!node.value.get(value) || value < 0 || value > kLast) {
    if (!node.value.is_number()) wrong(node, "an integer");
    complain(ErrorCode::corrupt_file, node.where, minify(node.value),
             fmt::format("an integer from 0 to {}", kLast));
  }
  return static_cast<std::int32_t>(value);
}

std::size_t as_size(const Node& node) {
  return static_cast<std::size_t>(as_id(node));
}

std::int64_t as_integer(const Node& node, std::int64_t min, std::int64_t max,
                        std::string_view expected) {
  const auto value = value_as<std::int64_t>(node, expected);
  if (value < min || value > max) {
    complain(ErrorCode::corrupt_file, node.where, minify(node.value), expected);
  }
  return value;
}

double as_number(const Node& node) {
  const auto value = value_as<double>(node, "a number");
  if (!std::isfinite(value)) wrong(node, "a number");
  return value;
}

Array as_array(const Node& node) {
  return value_as<Array>(node, "an array");
}

Object as_object(const Node& node) {
  return value_as<Object>(node, "an object");
}

bool bool_or(const Node& object, std::string_view key, bool otherwise) {
  const auto node = find(object, key);
  return node ? as_bool(*node) : otherwise;
}

}  // namespace tessera::json
