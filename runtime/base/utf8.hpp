// SPDX-License-Identifier: Apache-2.0
// What is UTF-8 (RFC 3629; Unicode 15, 3.9).
#pragma once

#include <cstddef>
#include <string_view>

namespace tessera {

struct Utf8Sequence {
  std::size_t length;  // of the well-formed sequence, or of the maximal invalid part
  bool is_valid;
};

/// The well-formed sequence at the start of `text`, or the longest part of one that the text does not
/// continue (Unicode's maximal subpart). `text` is not empty.
Utf8Sequence utf8_sequence(std::string_view text) noexcept;

/// Bytes of `text` before the first that is no part of a well-formed sequence; all, if it is UTF-8.
std::size_t utf8_prefix(std::string_view text) noexcept;

inline bool is_utf8(std::string_view text) noexcept {
  return utf8_prefix(text) == text.size();
}

}  // namespace tessera
