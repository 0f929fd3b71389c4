// SPDX-License-Identifier: Apache-2.0
// JSON lines: reading records that users wrote.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/pipeline/json_text.hpp"

namespace tessera {

/// What the values of a record are called.
struct JsonKeys {
  std::string text = "text", pair = "pair";
  std::optional<std::string> id = {};  ///< nullopt: "id", where a record has it
  bool of_ids =
      false;  ///< "ids" and "type_ids" are read, not texts; what is not read may be anything
};

/// What one JSON line may say. Unknown keys are ignored: users keep labels beside the text.
struct JsonRecord {
  std::optional<std::string> text;                    ///< JsonKeys::text
  std::optional<std::string> pair;                    ///< JsonKeys::pair
  std::optional<std::vector<std::int32_t>> ids;       ///< "ids"
  std::optional<std::vector<std::int32_t>> type_ids;  ///< "type_ids"
  std::string id;  ///< JSON, as it stands in the line: JsonKeys::id; empty if there is none
};

/// Parses lines.
///
/// Bytes that are not UTF-8 become U+FFFD first, as the reference reads such a file with
/// errors="replace"; an escaped lone surrogate becomes U+FFFD too.
class JsonLineParser {
 public:
  explicit JsonLineParser(JsonKeys keys = {});
  JsonLineParser(const JsonLineParser&) = delete;
  JsonLineParser& operator=(const JsonLineParser&) = delete;

  /// Throws Error{invalid_argument}: no JSON, no object, a value of another type, no JsonKeys::id;
  /// says got and expected.
  JsonRecord parse(std::string_view line);
  const JsonKeys& keys() const noexcept { return keys_; }

 private:
  JsonKeys keys_;
};

/// Replaces every escape of half a surrogate pair by the escape of U+FFFD.
std::string replace_lone_surrogates(std::string_view json);

/// The value of member number `index` of a JSON object, as it stands there. Precondition: `json` is
/// valid, an object, and has so many members.
std::string_view raw_member(std::string_view json, std::size_t index) noexcept;

}  // namespace tessera
