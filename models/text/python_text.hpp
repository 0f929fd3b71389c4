// SPDX-License-Identifier: Apache-2.0
// What sentence-transformers does to a text in Python before the tokenizer sees it.
#pragma once

#include <string>
#include <string_view>

namespace tessera::text {

/// str.strip(): without the white space around it, which for Python is Unicode's and U+001C to
/// U+001F. Of invalid UTF-8 the bytes stay.
std::string_view stripped(std::string_view text) noexcept;

/// str.lower(): of the whole text, so a sigma that ends a word becomes U+03C2. Invalid UTF-8 becomes
/// U+FFFD.
std::string lower_case(std::string_view text);

}  // namespace tessera::text
