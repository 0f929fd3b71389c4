// SPDX-License-Identifier: Apache-2.0
#include "models/json.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "runtime/base/files.hpp"

namespace tessera::json {
namespace {

namespace dom = simdjson::dom;
namespace fs = std::filesystem;

simdjson::padded_string load(const fs::path& file) {
  simdjson::padded_string content;
  read_file(file, [&](std::size_t bytes) {
    content = simdjson::padded_string(bytes);
    if (content.data() == nullptr && bytes > 0) {
      throw Error(ErrorCode::out_of_memory,
                  fmt::format("{}: got {} bytes, expected a file that fits into memory",
                              file.string(), bytes));
    }
    return content.data();
  });
  return content;
}

/// `text` with ".0" behind every integer that is too long for 64 bits.
std::string with_long_integers_as_doubles(std::string_view text) {
  constexpr std::size_t kDigits = 18;  // any integer of so many fits
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::string out;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string || !is_digit(c)) {
      const bool escapes = in_string && c == '\\' && i + 1 < text.size();
      out.append(text, i, escapes ? 2 : 1);
      i += escapes ? 2 : 1;
      if (c == '"') in_string = !in_string;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && is_digit(text[end])) ++end;
    const bool is_integer =
        (i == 0 || text[i - 1] != '.') &&
        (end == text.size() || std::string_view(".eE").find(text[end]) == std::string_view::npos);
    out.append(text, i, end - i);
    if (is_integer && end - i > kDigits) out += ".0";
    i = end;
  }
  return out;
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
  if (node.value.get(value) != simdjson::SUCCESS) wrong(node, expected);
  return value;
}

}  // namespace

Document Document::read(const fs::path& file, const std::string& shown_as,
                        std::string_view expected) {
  if (!path_exists(file)) {
    throw Error(ErrorCode::not_found, fmt::format("{}: no such file in {}, expected {}", shown_as,
                                                  file.parent_path().string(), expected));
  }
  const simdjson::padded_string text = load(file);
  check_is_itself(file, text);
  return parse(text, shown_as, expected);
}

Document Document::parse(std::string_view text, const std::string& shown_as,
                         std::string_view expected) {
  Document document;
  dom::parser& parser = *document.parser_;
  auto error = parser.parse(text.data(), text.size()).get(document.root_.value);
  if (error == simdjson::NUMBER_ERROR) {
    error = parser.parse(with_long_integers_as_doubles(text)).get(document.root_.value);
  }
  if (error != simdjson::SUCCESS) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: not valid JSON ({}), expected {}", shown_as,
                            simdjson::error_message(error), expected));
  }
  document.root_.where = shown_as + ": ";
  return document;
}

simdjson::padded_string read_text(const fs::path& file) {
  simdjson::padded_string text = load(file);
  check_is_itself(file, text);
  return text;
}

std::string_view type_name(dom::element value) {
  switch (value.type()) {
    case dom::element_type::ARRAY:
      return "an array";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE:
      return "a number";
    case dom::element_type::STRING:
      return "a string";
    case dom::element_type::BOOL:
      return "a boolean";
    case dom::element_type::NULL_VALUE:
      break;
  }
  return "null";
}

std::string shown(dom::element value) {
  constexpr std::size_t kMost = 60;
  std::string text = simdjson::minify(value);
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

std::optional<dom::element> last_member(dom::object object, std::string_view key) {
  std::optional<dom::element> found;
  for (const dom::key_value_pair pair : object) {
    if (pair.key == key) found = pair.value;
  }
  return found;
}

std::optional<Node> find(const Node& object, std::string_view key) {
  const auto value = last_member(as_object(object), key);
  if (!value || value->is_null()) return std::nullopt;
  return member(object, key, *value);
}

Node require(const Node& object, std::string_view key, std::string_view expected) {
  if (auto node = find(object, key)) return *std::move(node);
  throw Error(ErrorCode::corrupt_file,
              fmt::format("{} is missing, expected {}", child(object, key), expected));
}

Node member(const Node& object, std::string_view key, dom::element value) {
  return {child(object, key), value};
}

Node item(const Node& array, std::size_t index, dom::element value) {
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
  if (node.value.get(value) != simdjson::SUCCESS || value < 0 || value > kLast) {
    if (!node.value.is_number()) wrong(node, "an integer");
    complain(ErrorCode::corrupt_file, node.where, simdjson::minify(node.value),
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
    complain(ErrorCode::corrupt_file, node.where, simdjson::minify(node.value), expected);
  }
  return value;
}

double as_number(const Node& node) {
  const auto value = value_as<double>(node, "a number");
  if (!std::isfinite(value)) wrong(node, "a number");
  return value;
}

dom::array as_array(const Node& node) {
  return value_as<dom::array>(node, "an array");
}

dom::object as_object(const Node& node) {
  return value_as<dom::object>(node, "an object");
}

bool bool_or(const Node& object, std::string_view key, bool otherwise) {
  const auto node = find(object, key);
  return node ? as_bool(*node) : otherwise;
}

}  // namespace tessera::json
