// SPDX-License-Identifier: Apache-2.0
// UTF-8 and the Unicode predicates that the reference tokenizer decides by.
//
// The reference is Hugging Face tokenizers 0.23 (Rust). Its parts carry tables of different Unicode
// versions: categories of version 8 (crate unicode_categories), decompositions of version 9 (its
// fork of unicode-normalization), and white space and lower case of the Rust standard library
// (version 17). utf8proc 2.8 has version 15. unicode.cpp therefore corrects utf8proc by short lists
// of exceptions; each predicate here agrees with the reference on every code point.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

/// One code point of a UTF-8 string and the bytes that it takes there (1 to 4).
struct Decoded {
  char32_t c;
  std::uint32_t length;
};

/// The code point at `s`. Precondition: valid UTF-8 begins there.
inline Decoded decode_utf8(const char* s) noexcept {
  const auto byte = [s](int i) { return static_cast<char32_t>(static_cast<unsigned char>(s[i])); };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
          4};
}

/// The code point that ends just before `end`. Precondition: valid UTF-8 ends there and is not
/// empty.
Decoded decode_utf8_before(const char* end) noexcept;

/// Appends `c` in UTF-8. Precondition: `c` is a Unicode scalar value.
void append_utf8(std::string& out, char32_t c);

/// The number of code points of valid UTF-8.
std::size_t count_code_points(std::string_view text) noexcept;

/// The code points of valid UTF-8.
std::u32string code_points(std::string_view utf8);

/// Where each code point begins, in bytes, and the size at the end: (n+1). A maximal invalid part is
/// one code point, as in replace_invalid_utf8().
std::vector<std::uint32_t> code_point_offsets(std::string_view text);

/// Replaces every maximal invalid part by one U+FFFD, as Rust's String::from_utf8_lossy and
/// Python's errors="replace" do (Unicode 15, section 3.9, "U+FFFD substitution of maximal
/// subparts").
std::string replace_invalid_utf8(std::string_view text);

/// White_Space; Rust char::is_whitespace.
bool is_whitespace(char32_t c) noexcept;
/// Cc, Cf or Co; unicode_categories is_other (unassigned code points are not in it).
bool is_other(char32_t c) noexcept;
/// P* or ASCII punctuation, which includes the symbols $ + < = > ^ ` | ~; is_bert_punc.
bool is_punctuation(char32_t c) noexcept;
/// Mn; what BertNormalizer strips.
bool is_nonspacing_mark(char32_t c) noexcept;
/// Mn, Mc or Me; what the StripAccents normalizer strips.
bool is_combining_mark(char32_t c) noexcept;
/// N*; Rust char::is_numeric.
bool is_numeric(char32_t c) noexcept;
/// \w of Rust's regex crate: Alphabetic, M*, Nd, Pc, Join_Control.
bool is_word(char32_t c) noexcept;
/// The CJK ideographs that BertNormalizer puts between spaces. Supplementary planes included.
bool is_cjk_ideograph(char32_t c) noexcept;

/// Canonical_Combining_Class.
int combining_class(char32_t c) noexcept;

/// Whether NFC leaves `c` alone in every text of such characters: true for the letters, ideographs
/// and signs of which most texts are, false for some others that it leaves alone too.
bool is_inert_in_nfc(char32_t c) noexcept;

/// The longest full decomposition is that of U+FDFA: 18 code points.
using CodePoints = std::array<char32_t, 18>;

/// The full canonical (or compatibility) decomposition; returns its length, which is at least 1.
std::size_t decompose(char32_t c, bool compatibility, CodePoints& out) noexcept;

/// The primary composite of two code points, if there is one.
std::optional<char32_t> compose(char32_t a, char32_t b) noexcept;

/// Rust char::to_lowercase: one code point, except for U+0130 (i and a dot above). No context, so
/// no final sigma. Returns the length.
std::size_t to_lowercase(char32_t c, CodePoints& out) noexcept;

}  // namespace tessera::text
