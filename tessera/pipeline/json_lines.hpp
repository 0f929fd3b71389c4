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

/// What one JSON line may say. Unknown keys are ignored: users keep ids and labels beside the text.
struct JsonRecord {
  std::optional<std::string> text;                    ///< "text"
  std::optional<std::string> pair;                    ///< "pair"
  std::optional<std::vector<std::int32_t>> ids;       ///< "ids"
  std::optional<std::vector<std::int32_t>> type_ids;  ///< "type_ids"
};

/// Parses lines; keeps its buffers between calls.
///
/// Bytes that are not UTF-8 become U+FFFD first, as the reference reads such a file with
/// errors="replace"; an escaped lone surrogate becomes U+FFFD too.
class JsonLineParser {
 public:
  JsonLineParser();
  ~JsonLineParser();
  JsonLineParser(const JsonLineParser&) = delete;
  JsonLineParser& operator=(const JsonLineParser&) = delete;

  /// Throws Error{invalid_argument}: no JSON, no object, a value of another type; says got and
  /// expected.
  JsonRecord parse(std::string_view line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Replaces every escape of half a surrogate pair by the escape of U+FFFD.
std::string replace_lone_surrogates(std::string_view json);

}  // namespace tessera
