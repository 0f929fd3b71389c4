// SPDX-License-Identifier: Apache-2.0
// A character map for tests: single bytes and what they become. Longer keys are not needed, since
// the shortest key counts.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace tessera::text {

/// The root's children are in units 256 to 511, their values in 512 to 767.
inline std::string small_charsmap(const std::map<unsigned char, std::string>& replacements) {
  constexpr std::size_t kUnits = 768;
  std::uint32_t units[kUnits] = {256U << 10};
  std::string texts;
  for (const auto& [byte, text] : replacements) {
    units[256U + byte] = byte | 1U << 8 | 768U << 10;  // 256 ⊕ 768 = 512
    units[512U + byte] = static_cast<std::uint32_t>(texts.size()) | 1U << 31;
    texts += text + '\0';
  }
  std::string out;
  const auto append = [&](std::uint32_t x) {
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(x >> shift & 0xFF));
  };
  append(4 * kUnits);
  for (const std::uint32_t unit : units) append(unit);
  return out + texts;
}

}  // namespace tessera::text
