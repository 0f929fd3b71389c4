// SPDX-License-Identifier: Apache-2.0
// The matrix unit (kernels/gemm/tile_unit.inl.hpp) in plain C++. Each file that includes it has a unit of
// its own; a family enters, uses and leaves one.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/kernel_table.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"

namespace tessera::test {
namespace {

using kernels::UnitState;

struct Tile {
  unsigned char row[16][64];
};
struct Unit {
  bool is_configured = false;
  Tile tile[8];
};
thread_local Unit unit;

[[maybe_unused]] float widened(const unsigned char* p) noexcept {
  std::uint16_t half = 0;
  std::memcpy(&half, p, 2);
  const float x = std::bit_cast<float>(std::uint32_t{half} << 16U);
  return x == 0.0F || (x < 0x1p-126F && x > -0x1p-126F) ? 0.0F * x : x;  // denormals are zero
}
[[maybe_unused]] float flushed(float x) noexcept {
  return x < 0x1p-126F && x > -0x1p-126F ? 0.0F * x : x;
}

/// Intel SDM vol. 2, TILELOADD, TILESTORED, TILEZERO, TDPBF16PS, TDPBSSD, for tiles of 16 rows of 64
/// bytes.
struct EmulatedTiles {
  static Tile& at(int i) noexcept {
    if (!unit.is_configured) ++tile_use().used_without;
    return unit.tile[i];
  }
  template <int tile>
  static void load(const void* p, Index stride) noexcept {
    for (Index r = 0; r < 16; ++r) {
      std::memcpy(at(tile).row[r], static_cast<const char*>(p) + r * stride, 64);
    }
  }
  template <int tile>
  static void load_once(const void* p, Index stride) noexcept {
    load<tile>(p, stride);
  }
  template <int tile>
  static void store(void* p, Index stride) noexcept {
    for (Index r = 0; r < 16; ++r) {
      std::memcpy(static_cast<char*>(p) + r * stride, at(tile).row[r], 64);
    }
  }
  template <int tile>
  static void zero() noexcept {
    std::memset(&at(tile), 0, sizeof(Tile));
  }
  template <int c, int a, int b>
  static void multiply() noexcept {
    static_assert(c != a && c != b && a != b);  // an undefined instruction otherwise
    Tile &C = at(c), &A = at(a), &B = at(b);
    for (int m = 0; m < 16; ++m) {
      float even[16] = {}, odd[16] = {};
      for (int k = 0; k < 16; ++k) {
        const float a0 = widened(A.row[m] + 4 * k), a1 = widened(A.row[m] + 4 * k + 2);
        for (int n = 0; n < 16; ++n) {  // products of bf16 are exact: rounded once, as an FMA
          even[n] = flushed(even[n] + a0 * widened(B.row[k] + 4 * n));
          odd[n] = flushed(odd[n] + a1 * widened(B.row[k] + 4 * n + 2));
        }
      }
      for (int n = 0; n < 16; ++n) {
        float sum = 0.0F;
        std::memcpy(&sum, C.row[m] + 4 * n, 4);
        sum = flushed(flushed(sum) + flushed(even[n] + odd[n]));
        std::memcpy(C.row[m] + 4 * n, &sum, 4);
      }
    }
  }
  template <int c, int a, int b>
  static void multiply_s8() noexcept {
    static_assert(c != a && c != b && a != b);
    Tile &C = at(c), &A = at(a), &B = at(b);
    for (int m = 0; m < 16; ++m) {
      std::int32_t sums[16];
      std::memcpy(sums, C.row[m], 64);
      for (int k = 0; k < 16; ++k) {
        for (int n = 0; n < 16; ++n) {
          std::int32_t four = 0;
          for (int i = 0; i < 4; ++i) {
            four += std::int32_t{static_cast<std::int8_t>(A.row[m][4 * k + i])} *
                    std::int32_t{static_cast<std::int8_t>(B.row[k][4 * n + i])};
          }
          sums[n] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sums[n]) +
                                              static_cast<std::uint32_t>(four));
        }
      }
      std::memcpy(C.row[m], sums, 64);
    }
  }
  static void configure() noexcept {
    unit.is_configured = true;
    ++tile_use().entered;
  }
  static void release() noexcept {
    unit.is_configured = false;
    ++tile_use().left;
  }
  static void save(UnitState&) noexcept {}
  static void restore(UnitState&) noexcept { release(); }
};

}  // namespace
}  // namespace tessera::test
