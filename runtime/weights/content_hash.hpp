// SPDX-License-Identifier: Apache-2.0
// A checksum at the speed of memory, for finding damage and difference; no defence against malice.
//
//   lane_i ← rotl((lane_i ⊕ word) · p, 29)     8 lanes of 64 bits, words dealt out in turn
//
// Each step is a bijection of the lane and of the word, so two inputs of one length that differ in
// one word never have the same hash; otherwise the chance is about 2⁻⁶⁴.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace tessera {

class ContentHash {
 public:
  /// Every part but the last has a multiple of 64 bytes.
  void update(std::span<const std::byte> part) noexcept {
    length_ += part.size();
    while (part.size() >= kBlock) {
      for (std::size_t i = 0; i < kLanes; ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, part.data() + i * sizeof word, sizeof word);
        mix(lanes_[i], word);
      }
      part = part.subspan(kBlock);
    }
    if (part.empty()) return;
    std::array<std::byte, kBlock> padded{};
    std::memcpy(padded.data(), part.data(), part.size());
    length_ -= kBlock;
    update(padded);
  }

  std::uint64_t value() const noexcept {
    std::uint64_t hash = length_;
    for (const std::uint64_t lane : lanes_) mix(hash, lane);
    hash ^= hash >> 32;
    return hash;
  }

 private:
  static constexpr std::size_t kLanes = 8, kBlock = 8 * kLanes;

  static void mix(std::uint64_t& lane, std::uint64_t word) noexcept {
    lane = std::rotl((lane ^ word) * 0x9E3779B97F4A7C15U, 29);  // odd: 2⁶⁴ / golden ratio
  }

  std::array<std::uint64_t, kLanes> lanes_{1, 2, 3, 4, 5, 6, 7, 8};
  std::uint64_t length_ = 0;
};

inline std::uint64_t content_hash(std::span<const std::byte> bytes) noexcept {
  ContentHash hash;
  hash.update(bytes);
  return hash.value();
}

}  // namespace tessera
