// SPDX-License-Identifier: Apache-2.0
// JSON values that know where they are, so that every complaint names file, field, got and
// expected.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace tessera::text::json {

/// "tokenizer.json: model.vocab" and the value there.
struct Node {
  std::string where;
  simdjson::dom::element value;
};

/// Throws corrupt_file: `node` is not an `expected`.
[[noreturn]] void wrong(const Node& node, std::string_view expected);

/// The member `key` of an object; nothing if it is absent or null.
std::optional<Node> find(const Node& object, std::string_view key);
/// As find(), but a missing member is an error.
Node require(const Node& object, std::string_view key, std::string_view expected);
/// The element `index` of an array.
Node item(const Node& array, std::size_t index, simdjson::dom::element value);

bool as_bool(const Node& node);
std::string_view as_string(const Node& node);
/// An integer in [0, 2³¹): a token id, a type id or a length.
std::int32_t as_id(const Node& node);
std::size_t as_size(const Node& node);
simdjson::dom::array as_array(const Node& node);
simdjson::dom::object as_object(const Node& node);

/// Reads `file`; errors: not_found, io_error.
simdjson::padded_string read(const std::filesystem::path& file);
/// Parses a document that stays valid as long as `parser`. Error: corrupt_file.
Node parse(simdjson::dom::parser& parser, const std::filesystem::path& file);

}  // namespace tessera::text::json
