// SPDX-License-Identifier: Apache-2.0
//
// JSON files of a checkpoint directory, for every reader of one: values that know where they are,
// so that a reader is its fields and every complaint has four parts: where, what, got, expected.
//
// As in Python, the last of two equal keys counts, a member that is null is one that is not there,
// and an integer may be longer than any type (model_max_length is 10³⁰ in most tokenizer files: "no
// limit"); such a one is read as a double.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"
#include "runtime/base/json.hpp"

namespace tessera::json {

/// "tokenizer.json: model.vocab" and the value there.
struct Node {
  std::string where;
  Value value;
};

/// A parsed file; its values are valid as long as one of its copies lives.
class Document {
 public:
  /// `shown_as` opens every complaint ("config.json"); `expected` is what the file should hold.
  /// Errors  not_found, io_error, corrupt_file (no JSON).
  static Document read(const std::filesystem::path& file, const std::string& shown_as,
                       std::string_view expected);
  /// As read(), of a file that is shown by its name.
  static Document read(const std::filesystem::path& file) {
    return read(file, file.filename().string(), "an object");
  }
  static Document parse(std::string text, const std::string& shown_as, std::string_view expected);

  const Node& root() const noexcept { return root_; }

 private:
  Tree tree_;
  Node root_;
};

/// The bytes of a tokenizer's file. Errors  as read_file(); corrupt_file (a Git LFS pointer, ...).
std::string read_text(const std::filesystem::path& file);

/// The value as JSON, no longer than a message can bear.
std::string shown(Value value);

/// Throws `code`: `<where> is <got>, expected <expected>`.
[[noreturn]] void complain(ErrorCode code, std::string_view where, std::string_view got,
                           std::string_view expected);
/// Throws corrupt_file: `node` is not an `expected`.
[[noreturn]] void wrong(const Node& node, std::string_view expected);
/// What unsupported_model says of a value.
inline constexpr std::string_view kNotComputed = ", which this version does not compute";
/// Throws unsupported_model: `node` is a value which this version does not compute.
[[noreturn]] void unsupported(const Node& node, std::string_view expected);

/// The member `key` of an object; nothing if it is absent or null.
std::optional<Node> find(const Node& object, std::string_view key);
/// As find(), but a missing member is an error.
Node require(const Node& object, std::string_view key, std::string_view expected);
/// `value` as the member `key` of an object, as the element `index` of an array.
Node member(const Node& object, std::string_view key, Value value);
Node item(const Node& array, std::size_t index, Value value);

bool as_bool(const Node& node);
std::string_view as_string(const Node& node);
/// An integer in [0, 2³¹): a token id, a type id or a length.
std::int32_t as_id(const Node& node);
std::size_t as_size(const Node& node);
/// An integer in [min, max]; `expected` says so.
std::int64_t as_integer(const Node& node, std::int64_t min, std::int64_t max,
                        std::string_view expected);
/// A finite number.
double as_number(const Node& node);
Array as_array(const Node& node);
Object as_object(const Node& node);

/// A boolean member, or `otherwise` where it is absent or null.
bool bool_or(const Node& object, std::string_view key, bool otherwise);

}  // namespace tessera::json
