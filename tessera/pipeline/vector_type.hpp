// SPDX-License-Identifier: Apache-2.0
// Small vectors: what a number of an embedding becomes where it is stored.
//
//   f16              nearest, ties to even; beyond 65504 infinity
//   uint8            (x − low) / step, step = (high − low)/255, the fraction dropped, in [0, 255]
//   int8             (x − low) / step − 128, likewise, in [−128, 127]
//   ubinary, binary  bit 7 − j mod 8 of byte j/8 is x > 0; binary is −128 + that, as int8
//
// low and high of each column: Ranges. In float, subnormal numbers as such. Source:
// sentence-transformers, quantize_embeddings(); there what lies outside of the ranges wraps around, here
// it is the nearest end, and the lowest where a column is low = high = x.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/types.hpp"

namespace tessera {

enum class VectorType : std::uint8_t { f32, f16, int8, uint8, binary, ubinary };
inline constexpr VectorType kVectorTypes[] = {VectorType::f32,    VectorType::f16,
                                              VectorType::int8,   VectorType::uint8,
                                              VectorType::binary, VectorType::ubinary};
const char* to_string(VectorType type) noexcept;  ///< "f32", "int8", …
const char* npy_descr(VectorType type) noexcept;  ///< "<f4", "|i1", …

constexpr bool needs_ranges(VectorType type) noexcept {
  return type == VectorType::int8 || type == VectorType::uint8;
}
constexpr bool is_bits(VectorType type) noexcept {
  return type == VectorType::binary || type == VectorType::ubinary;
}
/// Bytes of an element, which of bits are eight columns.
constexpr Index element_bytes(VectorType type) noexcept {
  return type == VectorType::f32 ? 4 : type == VectorType::f16 ? 2 : 1;
}
/// Elements of a row of `width` floats. Precondition: of bits, width is a multiple of 8.
constexpr Index elements_of(VectorType type, Index width) noexcept {
  return is_bits(type) ? width / 8 : width;
}

/// The smallest and largest value of each column, low ≤ high, finite.
struct Ranges {
  std::vector<float> low, high;  // (width) each
};
/// Of rows (n, width), n ≥ 1.
Ranges ranges_of(std::span<const float> rows, Index width);
/// What is wrong with `ranges`, naming the column, got and expected; empty: nothing.
std::string problem_of(const Ranges& ranges);

/// The row as `type`: `out` has elements_of() · element_bytes() bytes, little-endian. `ranges` counts
/// where needs_ranges(), and has the width of the row. NaN is the lowest of int8 and uint8, and 0 of bits.
void narrow_row(std::span<const float> row, VectorType type, const Ranges& ranges,
                std::span<std::byte> out);

/// Element i of what narrow_row() wrote.
double element(std::span<const std::byte> row, VectorType type, Index i) noexcept;

}  // namespace tessera
