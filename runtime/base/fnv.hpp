// SPDX-License-Identifier: Apache-2.0
// FNV-1a, 64 bits: one multiplication per byte. For names of files, checksums against accidents, and hash
// tables; not against somebody who wants two texts of one hash.
#pragma once

#include <cstdint>
#include <string_view>

namespace tessera {

/// Of no bytes.
inline constexpr std::uint64_t kFnvSeed = 0xCBF29CE484222325;

/// Of the bytes that `hash` is of, and one more.
constexpr std::uint64_t fnv1a(std::uint64_t hash, char byte) noexcept {
  return (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
}
/// ... and `bytes`.
constexpr std::uint64_t fnv1a(std::uint64_t hash, std::string_view bytes) noexcept {
  for (const char byte : bytes) hash = fnv1a(hash, byte);
  return hash;
}

}  // namespace tessera
