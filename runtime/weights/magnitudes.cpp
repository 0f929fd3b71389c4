// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/magnitudes.hpp"

#include <bit>
#include <cstdint>

namespace tessera {
namespace {

/// Signed numbers, since the lowest level (SSE2) compares no others.
template <class Bits>
bool all_bits_below(const std::byte* values, Index n, Bits limit) {
  const auto* const bits = reinterpret_cast<const Bits*>(values);
  constexpr auto kMagnitude = static_cast<Bits>(~(Bits{1} << (8 * sizeof(Bits) - 1)));
  Bits any = 0;
  for (Index i = 0; i < n; ++i) {
    any = static_cast<Bits>(any | static_cast<Bits>((bits[i] & kMagnitude) >= limit));
  }
  return any == 0;
}

}  // namespace

bool all_below(const std::byte* values, DType type, Index n, float limit) {
  switch (type) {
    case DType::f32:
      return all_bits_below<std::int32_t>(values, n, std::bit_cast<std::int32_t>(limit));
    case DType::f16:
      return all_bits_below<std::int16_t>(values, n, 0x7C00);
    case DType::bf16:
      return all_bits_below<std::int16_t>(values, n, 0x7F80);
    case DType::s8:
    case DType::s16:
      return true;  // whole numbers
  }
  return false;
}

}  // namespace tessera
