// SPDX-License-Identifier: Apache-2.0
// How a published byte-level vocabulary spells bytes: each as one printable character, itself for
// ! to ~ and U+00A1 to U+00FF without U+00AD, U+0100 and so on for the others in order.
// tokenizers 0.23, pre_tokenizers/byte_level.rs (Radford et al. 2019).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tessera::text {

/// The character that `byte` is spelled as: below U+0144, so one or two bytes of UTF-8.
char32_t character_of_byte(unsigned char byte) noexcept;

/// `bytes` spelled out, in UTF-8.
void append_spelled(std::string& out, std::string_view bytes);

/// The bytes that valid UTF-8 spells; nullopt: some character is none of the 256.
std::optional<std::string> spelled_bytes(std::string_view spelling);

}  // namespace tessera::text
