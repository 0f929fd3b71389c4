// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/text_encoding.hpp"

#include <fmt/format.h>
#include <iconv.h>

#include <array>
#include <cerrno>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"

namespace tessera {
namespace {

constexpr std::size_t kHeadBytes = 1024;  // where UTF-16 shows by its NUL bytes

// As iconv_open(3) of glibc calls it.
const char* iconv_name(TextEncoding encoding) noexcept {
  switch (encoding) {
    case TextEncoding::utf16:
      return "UTF-16";
    case TextEncoding::utf16le:
      return "UTF-16LE";
    case TextEncoding::utf16be:
      return "UTF-16BE";
    case TextEncoding::latin1:
      return "ISO-8859-1";
    case TextEncoding::cp1252:
      return "CP1252";
    default:
      return "UTF-8";
  }
}

unsigned byte_at(std::string_view text, std::size_t at) noexcept {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
}

}  // namespace

const char* to_string(TextEncoding encoding) noexcept {
  switch (encoding) {
    case TextEncoding::utf8:
      return "utf-8";
    case TextEncoding::utf8_replace:
      return "utf-8-replace";
    case TextEncoding::utf16:
      return "utf-16";
    case TextEncoding::utf16le:
      return "utf-16le";
    case TextEncoding::utf16be:
      return "utf-16be";
    case TextEncoding::latin1:
      return "latin-1";
    case TextEncoding::cp1252:
      break;
  }
  return "cp1252";
}

std::optional<TextEncoding> encoding_from_string(std::string_view name) noexcept {
  for (const TextEncoding encoding : kTextEncodings) {
    if (name == to_string(encoding)) return encoding;
  }
  return std::nullopt;
}

bool is_utf8(TextEncoding encoding) noexcept {
  return encoding == TextEncoding::utf8 || encoding == TextEncoding::utf8_replace;
}

namespace {

// Of a character below 65536 two bytes are NUL, of a letter three.
std::optional<OtherEncoding> utf32_of(std::string_view head) {
  using namespace std::string_view_literals;
  constexpr const char* kWay = " (`iconv -f UTF-32 -t UTF-8` makes UTF-8 of it)";
  const auto found = [](const std::string& what) {
    return OtherEncoding{what + kWay, std::nullopt, true};
  };
  if (head.starts_with("\xFF\xFE\0\0"sv)) {
    return found("begins with FF FE 00 00, the byte-order mark of UTF-32 (little-endian)");
  }
  if (head.starts_with("\0\0\xFE\xFF"sv)) {
    return found("begins with 00 00 FE FF, the byte-order mark of UTF-32 (big-endian)");
  }
  const std::size_t characters = head.size() / 4;
  if (characters < 2) return std::nullopt;
  std::array<std::size_t, 4> zeros{};
  for (std::size_t at = 0; at < 4 * characters; ++at) zeros[at % 4] += head[at] == '\0' ? 1U : 0U;
  const bool is_little = zeros[2] == characters && zeros[3] == characters && zeros[0] == 0;
  const bool is_big = zeros[0] == characters && zeros[1] == characters && zeros[3] == 0;
  if (!is_little && !is_big) return std::nullopt;
  return found(fmt::format("has two NUL bytes and more in each four, as UTF-32 ({}-endian) has",
                           is_little ? "little" : "big"));
}

}  // namespace

std::optional<OtherEncoding> other_encoding(std::string_view head) {
  head = head.substr(0, kHeadBytes);
  if (auto utf32 = utf32_of(head)) return utf32;
  if (head.starts_with("\xFF\xFE")) {
    return OtherEncoding{"begins with FF FE, the byte-order mark of UTF-16 (little-endian)",
                         TextEncoding::utf16};
  }
  if (head.starts_with("\xFE\xFF")) {
    return OtherEncoding{"begins with FE FF, the byte-order mark of UTF-16 (big-endian)",
                         TextEncoding::utf16};
  }
  const std::size_t zero = head.find('\0');
  if (zero == std::string_view::npos) return std::nullopt;
  std::array<std::size_t, 2> zeros{};  // at even offsets, at odd ones
  for (std::size_t at = 0; at < head.size(); ++at) zeros[at % 2] += head[at] == '\0' ? 1U : 0U;
  const bool is_big = zeros[0] > zeros[1];
  const std::string where = fmt::format("has a NUL byte at offset {}", zero);
  // Text is mostly of letters, digits and blanks below 256, whose other byte is NUL.
  if (zeros[is_big ? 0 : 1] * 8 < head.size() ||
      zeros[is_big ? 1 : 0] * 4 > zeros[is_big ? 0 : 1]) {
    return OtherEncoding{where + ", which no text has", std::nullopt};
  }
  return OtherEncoding{where + ", as UTF-16 has beside every letter",
                       is_big ? TextEncoding::utf16be : TextEncoding::utf16le};
}

TextDecoder::TextDecoder(TextEncoding encoding)
    : encoding_(encoding), converter_(::iconv_open("UTF-8", iconv_name(encoding))) {
  if (reinterpret_cast<std::uintptr_t>(converter_) == UINTPTR_MAX) {  // iconv_t(-1)
    throw Error(
        ErrorCode::internal,
        fmt::format("encoding {}: iconv lacks it, expected one that it has", to_string(encoding)));
  }
}

TextDecoder::~TextDecoder() {
  ::iconv_close(converter_);
}

void TextDecoder::refuse(const char* what) const {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("at byte {} of the file: got 0x{:02X}{}, expected {} (--encoding)",
                          consumed_, byte_at(pending_, 0), what, to_string(encoding_)));
}

void TextDecoder::append(std::string_view bytes, std::string& text) {
  pending_ += bytes;
  char* in = pending_.data();
  std::size_t left = pending_.size();
  int reason = 0;
  while (left > 0 && reason != EINVAL && reason != EILSEQ) {
    char block[4096];
    char* out = block;
    std::size_t room = sizeof block;
    reason = 0;
    if (::iconv(converter_, &in, &left, &out, &room) == static_cast<std::size_t>(-1)) {
      reason = errno;
    }
    text.append(block, out);
  }
  consumed_ += pending_.size() - left;
  pending_.erase(0, pending_.size() - left);
  if (reason == EILSEQ) refuse("");
}

void TextDecoder::finish() const {
  if (!pending_.empty()) refuse(" and the end");
}

}  // namespace tessera
