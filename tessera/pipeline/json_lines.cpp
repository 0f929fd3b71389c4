// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/json_lines.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/json.hpp"

namespace tessera {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

std::string string_value(std::string_view key, json::Value value) {
  std::string_view text;
  if (!value.get(text)) {
    refuse(fmt::format("\"{}\" is {}, expected a string", key, json::type_name(value)));
  }
  return std::string(text);
}

std::vector<std::int32_t> id_list(std::string_view key, json::Value value) {
  json::Array array;
  if (!value.get(array)) {
    refuse(fmt::format("\"{}\" is {}, expected an array of integers", key, json::type_name(value)));
  }
  std::vector<std::int32_t> ids;
  ids.reserve(array.size());
  for (const json::Value element : array) {
    std::int64_t id = 0;
    if (!element.get(id)) {
      refuse(fmt::format("\"{}\"[{}] is {}, expected an integer", key, ids.size(),
                         json::type_name(element)));
    }
    if (id < std::numeric_limits<std::int32_t>::min() ||
        id > std::numeric_limits<std::int32_t>::max()) {
      refuse(fmt::format("\"{}\"[{}] is {}, expected a 32-bit integer", key, ids.size(), id));
    }
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

// The code unit of "\uXXXX" at `at`, or -1.
int escaped_unit(std::string_view json, std::size_t at) noexcept {
  if (at + 6 > json.size() || json[at] != '\\' || json[at + 1] != 'u') return -1;
  unsigned unit = 0;
  const char* begin = json.data() + at + 2;
  const auto [end, error] = std::from_chars(begin, begin + 4, unit, 16);
  return error == std::errc{} && end == begin + 4 ? static_cast<int>(unit) : -1;
}

bool is_high(int unit) noexcept {
  return unit >= 0xD800 && unit <= 0xDBFF;
}
bool is_low(int unit) noexcept {
  return unit >= 0xDC00 && unit <= 0xDFFF;
}

}  // namespace

std::string replace_lone_surrogates(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  std::size_t at = 0;
  while (at < json.size()) {
    if (json[at] != '\\') {
      out += json[at++];
      continue;
    }
    const int unit = escaped_unit(json, at);
    std::size_t length = unit >= 0 ? 6 : 2;  // an escape is two characters, or six
    if (is_high(unit) && is_low(escaped_unit(json, at + 6))) {
      length = 12;
    } else if (is_high(unit) || is_low(unit)) {
      out += "\\uFFFD";
      at += 6;
      continue;
    }
    out += json.substr(at, length);
    at += length;
  }
  return out;
}

std::string_view raw_member(std::string_view json, std::size_t index) noexcept {
  constexpr std::string_view kBlanks = " \t\r\n";
  std::size_t depth = 0, member = 0, begin = 0;
  for (std::size_t at = 0; at < json.size(); ++at) {
    switch (json[at]) {
      case '"':  // to the end of the string
        for (++at; at < json.size() && json[at] != '"'; ++at) at += json[at] == '\\' ? 1U : 0U;
        break;
      case ':':
        if (depth == 1 && member == index) begin = json.find_first_not_of(kBlanks, at + 1);
        break;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        if (--depth != 0) break;
        [[fallthrough]];
      case ',':
        if (depth > 1) break;
        if (member++ == index) {
          const std::string_view value = json.substr(begin, at - begin);
          return value.substr(0, value.find_last_not_of(kBlanks) + 1);
        }
        break;
      default:
        break;
    }
  }
  return {};
}

JsonLineParser::JsonLineParser(JsonKeys keys) : keys_(std::move(keys)) {}

JsonRecord JsonLineParser::parse(std::string_view line) {
  json::Tree tree = json::Tree::parse(std::string(line));
  std::string repaired;
  if (tree.fault() == json::Fault::not_utf8) {
    repaired = text::replace_invalid_utf8(line);
    tree = json::Tree::parse(repaired);
  }
  if (tree.fault() == json::Fault::string) {
    repaired = replace_lone_surrogates(repaired.empty() ? line : std::string_view(repaired));
    tree = json::Tree::parse(repaired);
  }
  if (tree.fault() == json::Fault::empty) refuse("got an empty line, expected a JSON object");
  if (!tree) refuse(fmt::format("not valid JSON ({}), expected an object", tree.message()));
  json::Object object;
  if (!tree.root().get(object)) {
    refuse(fmt::format("got {}, expected a JSON object", json::type_name(tree.root())));
  }
  const std::string_view json = repaired.empty() ? line : std::string_view(repaired);
  const std::string_view id_key = keys_.id ? std::string_view(*keys_.id) : "id";
  JsonRecord record;
  std::size_t member = 0;
  for (const json::Member field : object) {
    if (field.key == id_key) record.id = raw_member(json, member);
    ++member;
    if (keys_.of_ids) {
      if (field.key == "ids") record.ids = id_list(field.key, field.value);
      if (field.key == "type_ids" && !field.value.is_null()) {
        record.type_ids = id_list(field.key, field.value);
      }
    } else if (field.key == keys_.text) {
      record.text = string_value(field.key, field.value);
    } else if (field.key == keys_.pair) {
      if (!field.value.is_null()) record.pair = string_value(field.key, field.value);
    }
  }
  if (keys_.id && record.id.empty()) {
    refuse(fmt::format("got no \"{}\", expected one (--id-key)", *keys_.id));
  }
  return record;
}

}  // namespace tessera
