// SPDX-License-Identifier: Apache-2.0
#include "models/text/json.hpp"

#include <fmt/format.h>

#include <limits>

#include "runtime/base/files.hpp"

namespace tessera::text::json {
namespace {

std::string_view type_name(simdjson::dom::element value) {
  switch (value.type()) {
    case simdjson::dom::element_type::ARRAY:
      return "an array";
    case simdjson::dom::element_type::OBJECT:
      return "an object";
    case simdjson::dom::element_type::INT64:
    case simdjson::dom::element_type::UINT64:
    case simdjson::dom::element_type::DOUBLE:
      return "a number";
    case simdjson::dom::element_type::STRING:
      return "a string";
    case simdjson::dom::element_type::BOOL:
      return "a boolean";
    case simdjson::dom::element_type::NULL_VALUE:
      break;
  }
  return "null";
}

std::string child(const Node& object, std::string_view key) {
  const bool is_root = object.where.ends_with(": ");
  return fmt::format("{}{}{}", object.where, is_root ? "" : ".", key);
}

}  // namespace

void wrong(const Node& node, std::string_view expected) {
  throw Error(ErrorCode::corrupt_file,
              fmt::format("{} is {}, expected {}", node.where, type_name(node.value), expected));
}

std::optional<Node> find(const Node& object, std::string_view key) {
  simdjson::dom::element value;
  if (as_object(object).at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) {
    return std::nullopt;
  }
  return Node{child(object, key), value};
}

Node require(const Node& object, std::string_view key, std::string_view expected) {
  if (auto node = find(object, key)) return *std::move(node);
  throw Error(ErrorCode::corrupt_file,
              fmt::format("{} is missing, expected {}", child(object, key), expected));
}

Node item(const Node& array, std::size_t index, simdjson::dom::element value) {
  return {fmt::format("{}[{}]", array.where, index), value};
}

bool as_bool(const Node& node) {
  bool value = false;
  if (node.value.get(value) != simdjson::SUCCESS) wrong(node, "a boolean");
  return value;
}

std::string_view as_string(const Node& node) {
  std::string_view value;
  if (node.value.get(value) != simdjson::SUCCESS) wrong(node, "a string");
  return value;
}

std::int32_t as_id(const Node& node) {
  constexpr std::int64_t kLast = std::numeric_limits<std::int32_t>::max() - 1;
  std::int64_t value = -1;
  if (node.value.get(value) != simdjson::SUCCESS || value < 0 || value > kLast) {
    if (!node.value.is_number()) wrong(node, "an integer");
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{} is {}, expected an integer from 0 to {}", node.where,
                            simdjson::minify(node.value), kLast));
  }
  return static_cast<std::int32_t>(value);
}

std::size_t as_size(const Node& node) {
  return static_cast<std::size_t>(as_id(node));
}

simdjson::dom::array as_array(const Node& node) {
  simdjson::dom::array value;
  if (node.value.get(value) != simdjson::SUCCESS) wrong(node, "an array");
  return value;
}

simdjson::dom::object as_object(const Node& node) {
  simdjson::dom::object value;
  if (node.value.get(value) != simdjson::SUCCESS) wrong(node, "an object");
  return value;
}

simdjson::padded_string read(const std::filesystem::path& file) {
  if (const auto bytes = find_in_memory(file)) {
    return simdjson::padded_string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  }
  if (!file_exists(file)) {
    throw Error(ErrorCode::not_found,
                fmt::format("tokenizer: \"{}\" does not exist, expected a file", file.string()));
  }
  simdjson::padded_string content;
  const auto error = simdjson::padded_string::load(file.string()).get(content);
  if (error != simdjson::SUCCESS) {
    throw Error(ErrorCode::io_error, fmt::format("tokenizer: \"{}\" cannot be read ({})",
                                                 file.string(), simdjson::error_message(error)));
  }
  return content;
}

Node parse(simdjson::dom::parser& parser, const std::filesystem::path& file) {
  const simdjson::padded_string content = read(file);
  simdjson::dom::element root;
  const auto error = parser.parse(content).get(root);
  if (error != simdjson::SUCCESS) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: not valid JSON ({}), expected an object", file.filename().string(),
                            simdjson::error_message(error)));
  }
  return {file.filename().string() + ": ", root};
}

}  // namespace tessera::text::json
