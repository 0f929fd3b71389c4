// SPDX-License-Identifier: Apache-2.0
//
// Weights of -1, 0 and 1 in panels: three of them are one code of five bits, 1.67 bits each.
//
//   code = (t0 + 1) + 3·(t1 + 1) + 9·(t2 + 1)      0 … 26      t_v of a column of vector v of the panel
//
// A row of a panel, for one word of A, has a code for each byte of a register. The low four bits of the C
// codes come first, two in a byte (code i and, above it, code C/2 + i), then the fifth bits, eight in a
// byte. So t_v of all C codes is looked up in registers: the four bits in one of two tables of 16 bytes
// (PSHUFB), which of the two by the fifth bit.
//
// The idea of tables that stay in registers is T-SAR's (there of partial sums, with instructions made for
// it); here they hold the weights, and sums are what the level's products of bytes give.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/types.hpp"

namespace tessera::kernels {

inline constexpr Index kTritsOfCode = 3;
inline constexpr int kCodeOfZeros = 13;

/// t_v of each code: of 0 … 15, and of 16 … 26 (what follows does not occur).
struct TritTable {
  alignas(16) std::array<std::int8_t, 16> low{}, high{};
};
constexpr TritTable trit_table(int v) noexcept {
  TritTable table;
  const int divisor = v == 0 ? 1 : v == 1 ? 3 : 9;
  for (int i = 0; i < 16; ++i) {
    const auto trit = [&](int code) { return static_cast<std::int8_t>(code / divisor % 3 - 1); };
    table.low[static_cast<std::size_t>(i)] = trit(i);
    table.high[static_cast<std::size_t>(i)] = trit(i + 16);
  }
  return table;
}
inline constexpr std::array<TritTable, 3> kTrits{trit_table(0), trit_table(1), trit_table(2)};

/// Bytes of C codes.
constexpr Index code_bytes(Index C) noexcept {
  return C * 5 / 8;
}

}  // namespace tessera::kernels
