// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/gemm_traffic.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace tessera {
namespace {

enum class Dim : std::uint8_t { m, n, k };

/// The extents of an iteration space; their products are the elements of A, B and C in it.
struct Extents {
  double m, n, k;
};

/// A loop over `dim`, and what one of its iterations touches.
struct Loop {
  Dim dim;
  double trips;  ///< in one iteration of the loops around it
  Extents body;
};

struct Loops {
  std::array<Loop, 5> at;  // outermost first
  Extents inside;          // of what was added last

  std::size_t count = 0;
  void add(Dim dim, Index trips, double extent) {
    (dim == Dim::m ? inside.m : dim == Dim::n ? inside.n : inside.k) = extent;
    at[count++] = {dim, static_cast<double>(trips), inside};
  }
};

/// The number of row tiles over all row blocks.
Index count_row_tiles(Index M, Index blocks, Index MR) {
  const Index larger = M % blocks;  // so many blocks have one row more
  return larger * ceil_div(M / blocks + 1, MR) + (blocks - larger) * ceil_div(M / blocks, MR);
}

Loops loops_of(const LinearShape& s, const LoopNest& nest, TileShape tile) {
  const Index panels = ceil_div(s.N, tile.NR), MC = ceil_div(s.M, nest.row_blocks);
  const Index tiles = ceil_div(MC, tile.MR), block_panels = ceil_div(panels, nest.col_blocks);
  Loops loops{.at = {},
              .inside = {static_cast<double>(s.M), static_cast<double>(panels * tile.NR),
                         static_cast<double>(s.K)}};
  const auto rows = [&] { loops.add(Dim::m, tiles, static_cast<double>(ceil_div(MC, tiles))); };
  const auto columns = [&] { loops.add(Dim::n, block_panels, static_cast<double>(tile.NR)); };
  const auto chunks = [&] {
    loops.add(Dim::k, nest.k_blocks, static_cast<double>(ceil_div(s.K, nest.k_blocks)));
  };
  loops.add(Dim::m, nest.row_blocks, static_cast<double>(MC));
  loops.add(Dim::n, nest.col_blocks, static_cast<double>(block_panels * tile.NR));
  switch (nest.order) {
    case LoopOrder::is_os_a:
      columns(), chunks(), rows();
      break;
    case LoopOrder::is_os_b:
    case LoopOrder::os_2d:
      chunks(), columns(), rows();
      break;
    case LoopOrder::ws_os_a:
      rows(), chunks(), columns();
      break;
    case LoopOrder::ws_os_b:
      chunks(), rows(), columns();
      break;
  }
  return loops;
}

/// What is asked of the cache by who wants the operand of loop l to stay: two blocks of all that streams.
double two_blocks(const Loop& l, const ElementBytes& bytes) {
  const auto [m, n, k] = l.body;
  return bytes.a * m * k * (l.dim == Dim::n ? 1 : 2) + bytes.b * k * n * (l.dim == Dim::m ? 1 : 2) +
         bytes.c * m * n * (l.dim == Dim::k ? 1 : 2);
}

/// Whether a loop over `dim` goes through the operand that `other` does not index: A has no n, B no m, C
/// no k.
constexpr bool indexes(Dim dim, Dim other) noexcept {
  return dim != other;
}

/// F'(loop i) of the header, for the operand X that loop i does not index. The loop inside is over another
/// dimension.
double kept_bytes(const Loops& loops, std::size_t i, const ElementBytes& bytes) {
  const Loop& l = loops.at[i];
  std::size_t inner = i + 1;
  while (inner < loops.count && loops.at[inner].trips <= 1) ++inner;
  const auto times = [&](Dim lacks) {
    if (!indexes(l.dim, lacks)) return 1.0;
    // What the loop inside goes through as well is as much of the old block as is left, and as much of the
    // next one as was before: together a block, and a piece that is in both.
    const bool in_step = inner < loops.count && indexes(loops.at[inner].dim, lacks);
    return in_step ? 1.0 + 1.0 / loops.at[inner].trips : 2.0;
  };
  const auto [m, n, k] = l.body;
  return bytes.a * m * k * times(Dim::n) + bytes.b * k * n * times(Dim::m) +
         bytes.c * m * n * times(Dim::k);
}

}  // namespace

const char* to_string(LoopOrder order) noexcept {
  switch (order) {
    case LoopOrder::is_os_a:
      return "IS-OS(a)";
    case LoopOrder::is_os_b:
      return "IS-OS(b)";
    case LoopOrder::ws_os_a:
      return "WS-OS(a)";
    case LoopOrder::ws_os_b:
      return "WS-OS(b)";
    case LoopOrder::os_2d:
      return "2-D OS";
  }
  return "?";
}

const char* option_name(LoopOrder order) noexcept {
  switch (order) {
    case LoopOrder::is_os_a:
      return "is_os_a";
    case LoopOrder::is_os_b:
      return "is_os_b";
    case LoopOrder::ws_os_a:
      return "ws_os_a";
    case LoopOrder::ws_os_b:
      return "ws_os_b";
    case LoopOrder::os_2d:
      return "os_2d";
  }
  return "?";
}

GemmTraffic gemm_traffic(const LinearShape& s, const LoopNest& nest, TileShape tile, double Z,
                         int threads) noexcept {
  const double M = static_cast<double>(s.M), K = static_cast<double>(s.K),
               N = static_cast<double>(s.N);
  const Index panels = ceil_div(s.N, tile.NR);
  const Loops loops = loops_of(s, nest, tile);
  // How often an operand that `other` does not index comes in, because of the loops over `other`.
  const auto passes = [&](Dim other, Index all_tiles) {
    double times = 1;
    bool follows = false, kept = false;  // the loop inside is one over `other` too, and keeps it
    for (std::size_t i = loops.count; i-- > 0;) {
      const Loop& l = loops.at[i];
      if (l.trips <= 1) continue;
      if (l.dim != other) {
        follows = false;
        continue;
      }
      const bool is_block = i < 2;
      kept = follows ? kept : kept_bytes(loops, i, tile.bytes) <= Z;
      follows = true;
      if (!kept) {  // tiles of ragged blocks: all of them, counted once
        times =
            is_block || all_tiles == 0 ? std::max(times, l.trips) : static_cast<double>(all_tiles);
      } else if (is_block) {
        times = std::max(times, std::min(l.trips, static_cast<double>(threads)));
      }
    }
    return times;
  };
  return {.a = tile.bytes.a * M * K * passes(Dim::n, panels),
          .b = tile.bytes.b * K * static_cast<double>(panels * tile.NR) *
               passes(Dim::m, count_row_tiles(s.M, nest.row_blocks, tile.MR)),
          .c = tile.bytes.c * 2 * M * N * passes(Dim::k, 0)};
}

double stationary_bytes(const LinearShape& s, const LoopNest& nest, TileShape tile) noexcept {
  return two_blocks(loops_of(s, nest, tile).at[2], tile.bytes);
}

double gemm_bound(const LinearShape& s, const ElementBytes& bytes, double Z) noexcept {
  const double M = static_cast<double>(s.M), K = static_cast<double>(s.K),
               N = static_cast<double>(s.N);
  const double e = std::min({bytes.a, bytes.b, bytes.c});
  return std::max(bytes.a * M * K + bytes.b * K * N + bytes.c * M * N,
                  e * (2 * M * N * K / std::sqrt(Z / e)));
}

ClassicalTraffic classical_traffic(const LinearShape& s, const ElementBytes& bytes,
                                   double Z) noexcept {
  const double M = static_cast<double>(s.M), K = static_cast<double>(s.K),
               N = static_cast<double>(s.N);
  const double t = std::floor(std::sqrt(Z / (bytes.a + bytes.b + bytes.c)));
  const auto blocks = [t](double extent) { return std::ceil(extent / t); };
  const double A = bytes.a * M * K, B = bytes.b * K * N, C = bytes.c * M * N;
  return {.naive = (bytes.a + bytes.b) * M * N * K + 2 * C,
          .is = A + B * blocks(M) + 2 * C * blocks(K),
          .ws = A * blocks(N) + B + 2 * C * blocks(K),
          .os = A * blocks(N) + B * blocks(M) + 2 * C};
}

}  // namespace tessera
