// SPDX-License-Identifier: Apache-2.0
// Regular expressions as the reference writes them, in the words of PCRE2.
//
// The reference (Hugging Face tokenizers 0.23) reads a pattern with Oniguruma. What the two engines
// understand differently is spelled out here, so that both find the same matches:
//   ^ $           begin and end a line; (?m) lets . match a line feed; (?s) does not exist
//   a(?i)b|c      is a(?i:b|c)
//   x{n,m}+       is (?:x{n,m})+; only ?+ *+ ++ are possessive; x{n}? is (?:x{n})?; x{,m} is x{0,m}
//   [a[b]&&c]     classes in classes, their intersection
//   \h \v         a hexadecimal digit, U+000B
//   \s \d \w \b \p{...} [:name:]  by the tables of Unicode 16
#pragma once

#include <string>
#include <string_view>

namespace tessera::text {

/// `pattern`, valid UTF-8, for PCRE2 with PCRE2_UTF, PCRE2_UCP, PCRE2_MULTILINE and newlines that
/// are line feeds. `where` opens complaints.
///
/// Errors    corrupt_file: what Oniguruma refuses too; unsupported_model: what has no counterpart.
std::string to_pcre2(std::string_view pattern, std::string_view where);

/// The pattern that matches `text` and nothing else.
std::string literal_pattern(std::string_view text);

}  // namespace tessera::text
