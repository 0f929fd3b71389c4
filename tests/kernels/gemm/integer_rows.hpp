// SPDX-License-Identifier: Apache-2.0
// Rows of whole numbers as the products of a level read them.
#pragma once

#include <cstring>
#include <vector>

#include "kernels/kernel_table.hpp"

namespace tessera::kernels {

/// What `table` writes for the number 0: q, q + 128, or 16 bits.
inline int zero_of(const KernelTable& table) {
  const float x[4] = {0, 0, 0, 1};
  unsigned char row[64] = {};
  table.quantize({.x = x, .type = DType::f32, .ldx = 4, .y = row, .y_bytes = 64, .M = 1, .N = 4});
  return row[0];
}

inline Index bytes_of(const KernelTable& table) {
  return table.gemm[Precision::s8].bits.a / 8;
}
inline DType type_of(const KernelTable& table) {
  return bytes_of(table) == 1 ? DType::s8 : DType::s16;
}

/// The number that element j of a row stands for.
inline int number_at(const KernelTable& table, const void* row, Index j) {
  if (bytes_of(table) == 2) {
    std::int16_t q = 0;
    std::memcpy(&q, static_cast<const char*>(row) + 2 * j, 2);
    return q;
  }
  const unsigned char byte = static_cast<const unsigned char*>(row)[j];
  const int zero = zero_of(table);
  return zero == 0 ? static_cast<std::int8_t>(byte) : byte - zero;
}

/// Elements of a row of K numbers with the zeros behind them.
constexpr Index with_zeros(Index K) {
  return (K + kQuantizedGroup - 1) / kQuantizedGroup * kQuantizedGroup;
}

/// Writes K numbers and the zeros behind them.
inline void store_numbers(const KernelTable& table, const std::int32_t* q, Index K, void* row) {
  const Index bytes = bytes_of(table);
  const int zero = zero_of(table);
  for (Index k = 0; k < with_zeros(K); ++k) {
    const auto number = static_cast<std::int16_t>((k < K ? q[k] : 0) + zero);
    std::memcpy(static_cast<char*>(row) + k * bytes, &number, static_cast<std::size_t>(bytes));
  }
}

}  // namespace tessera::kernels
