// SPDX-License-Identifier: Apache-2.0
//
// The matrix unit (Intel AMX): eight tile registers of 16 rows of 64 bytes, and products of tiles. Only
// one shape of tile is ever configured: a thread sets it up once per task. Fewer rows cost as much as
// 16 and are read from memory that is there anyway (Gemm::rows_read).
//
//   f32   (16,16)                          C
//   bf16  (16,32)   rows of 32 k           A
//   bf16  (16,16·2) pairs of k × columns   B, as a panel has them
//   s8    (16,64)   rows of 64 k           A
//   s8    (16,16·4) fours of k × columns   B; sums are s32
//
// Instructions are written out: the compiler's own `_tile_loadd` (GCC 12) does not say that it reads
// memory, and a load of what was stored just before is moved in front of the store.
#pragma once

#include <utility>

#include "kernels/gemm/gemm.hpp"
#include "kernels/simd/base.inl.hpp"

namespace tessera::kernels {
namespace {

inline constexpr Index kTileBytes = 64;  // of a row

/// The operand of LDTILECFG (Intel SDM vol. 1, 18.3).
struct TileShapes {
  std::uint8_t palette = 0, start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t bytes_of_row[16] = {};
  std::uint8_t rows[16] = {};
};
static_assert(sizeof(TileShapes) == 64);
static_assert(sizeof(UnitState) == sizeof(TileShapes) + 8 * 16 * 64);

struct AmxTiles {
  template <int tile>
  static TESSERA_INLINE void load(const void* p, Index stride) noexcept {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(tile) : "memory");
  }
  /// The same of lines that are not used again soon: L1 keeps what it has.
  template <int tile>
  static TESSERA_INLINE void load_once(const void* p, Index stride) noexcept {
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  static TESSERA_INLINE void store(void* p, Index stride) noexcept {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  static TESSERA_INLINE void zero() noexcept {
    asm volatile("tilezero %%tmm%c0" : : "i"(tile));
  }
  /// c (16,16) += a (16,32) b (32,16). Per element: Σ over even k and Σ over odd k, an FMA each, in
  /// order and from 0; their sum is added to c (Intel SDM vol. 2, TDPBF16PS). Denormals count as zero.
  template <int c, int a, int b>
  static TESSERA_INLINE void multiply() noexcept {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }
  /// c (16,16) += a (16,64) b (64,16), whole numbers, both with a sign; c is s32 and does not saturate
  /// (TDPBSSD).
  template <int c, int a, int b>
  static TESSERA_INLINE void multiply_s8() noexcept {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }

  static void configure() noexcept {
    TileShapes shapes{.palette = 1};
    for (int i = 0; i < 8; ++i) shapes.bytes_of_row[i] = 64, shapes.rows[i] = 16;
    load_shapes(shapes);
  }
  static void release() noexcept { asm volatile("tilerelease" : : : "memory"); }

  /// Shapes and contents of the tiles that this thread's caller has in use, if any.
  static void save(UnitState& to) noexcept {
    TileShapes& shapes = *reinterpret_cast<TileShapes*>(to.bytes);
    asm volatile("sttilecfg %0" : "=m"(shapes) : : "memory");
    if (shapes.palette == 0) return;
    contents<true>(shapes, to.bytes + sizeof(TileShapes), kEight);
  }
  static void restore(UnitState& from) noexcept {
    const TileShapes& shapes = *reinterpret_cast<const TileShapes*>(from.bytes);
    if (shapes.palette == 0) return release();
    load_shapes(shapes);
    contents<false>(shapes, from.bytes + sizeof(TileShapes), kEight);
  }

 private:
  static constexpr std::integer_sequence<int, 0, 1, 2, 3, 4, 5, 6, 7> kEight{};

  static void load_shapes(const TileShapes& shapes) noexcept {
    asm volatile("ldtilecfg %0" : : "m"(shapes) : "memory");
  }
  template <bool stores, int... tile>
  static void contents(const TileShapes& shapes, std::byte* at,
                       std::integer_sequence<int, tile...>) noexcept {
    const auto one = [&]<int i>(std::integral_constant<int, i>) {
      if (shapes.rows[i] == 0) return;
      if constexpr (stores) {
        store<i>(at + i * 1024, kTileBytes);
      } else {
        load<i>(at + i * 1024, kTileBytes);
      }
    };
    (one(std::integral_constant<int, tile>{}), ...);
  }
};

/// Gemm::enter and Gemm::leave of a unit.
template <class Unit>
void enter_tiles(UnitState& state) noexcept {
  Unit::save(state);
  Unit::configure();
}
template <class Unit>
void leave_tiles(UnitState& state) noexcept {
  Unit::restore(state);
}

}  // namespace
}  // namespace tessera::kernels
