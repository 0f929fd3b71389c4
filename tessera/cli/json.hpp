// SPDX-License-Identifier: Apache-2.0
// JSON lines: reading records that users wrote, writing text and numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::cli {

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

/// Appends `text` as a JSON string; control characters are escaped, invalid UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Appends a float so that reading it gives the same float ("%.9g"); null for NaN and infinities,
/// which JSON cannot say.
void append_json_float(std::string& out, float value);

/// The code points [begin, end) of valid UTF-8.
std::string_view code_points(std::string_view text, std::size_t begin, std::size_t end) noexcept;

/// Replaces every escape of half a surrogate pair by the escape of U+FFFD.
std::string replace_lone_surrogates(std::string_view json);

}  // namespace tessera::cli
