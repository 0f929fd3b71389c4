// SPDX-License-Identifier: Apache-2.0
// What the bytes of a text file mean.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

enum class TextEncoding : std::uint8_t {
  utf8,          ///< anything else is an error
  utf8_replace,  ///< what is not UTF-8 becomes U+FFFD, as the reference's errors="replace"
  utf16,         ///< as the byte-order mark says, little-endian without one
  utf16le,
  utf16be,
  latin1,
  cp1252,
};

inline constexpr std::array kTextEncodings{
    TextEncoding::utf8,    TextEncoding::utf8_replace, TextEncoding::utf16, TextEncoding::utf16le,
    TextEncoding::utf16be, TextEncoding::latin1,       TextEncoding::cp1252};

/// "utf-8", "utf-8-replace", "utf-16", "utf-16le", "utf-16be", "latin-1", "cp1252".
const char* to_string(TextEncoding encoding) noexcept;
std::optional<TextEncoding> encoding_from_string(std::string_view name) noexcept;

/// Whether its bytes are read as they are.
bool is_utf8(TextEncoding encoding) noexcept;

/// What a file that begins with `head` is rather than UTF-8: "UTF-16, little-endian (a byte-order
/// mark FF FE)", say, and the encoding to ask for; nullopt where nothing speaks against UTF-8.
struct OtherEncoding {
  std::string what;
  std::optional<TextEncoding> likely;  ///< nullopt: none, as of a binary file
  bool is_utf32 = false;
};
std::optional<OtherEncoding> other_encoding(std::string_view head);

/// Turns bytes of another encoding into UTF-8, block by block. iconv(3) does the work.
class TextDecoder {
 public:
  /// Precondition: not is_utf8(encoding). Throws Error{internal} where the system lacks it.
  explicit TextDecoder(TextEncoding encoding);
  ~TextDecoder();
  TextDecoder(const TextDecoder&) = delete;
  TextDecoder& operator=(const TextDecoder&) = delete;

  /// Appends to `text` what `bytes` and those before them say so far. Throws Error{invalid_argument}
  /// naming the offset in the input, got and expected; `text` then has what comes before it.
  void append(std::string_view bytes, std::string& text);
  /// To be called at the end of the input. Throws Error{invalid_argument}: half a character is left.
  void finish() const;

 private:
  [[noreturn]] void refuse(const char* what) const;

  TextEncoding encoding_;
  void* converter_;
  std::string pending_;         // bytes of a character whose rest is to come
  std::uint64_t consumed_ = 0;  // bytes before pending_
};

}  // namespace tessera
