// SPDX-License-Identifier: Apache-2.0
//
// The tiles of a loop order as calls of the micro-kernel.
//
// While the row tiles of one panel run, each of them prefetches its share of the panel after it, so
// that weights arrive at memory speed behind the arithmetic; the last panel prefetches what the
// next linear starts with. With panels inside, rows pass by: each tile prefetches those of the next.
#include "runtime/execute/gemm.hpp"

#include <algorithm>

#include "runtime/threads/run_control.hpp"

namespace tessera::execute {
namespace {

struct Ahead {
  const std::byte* data = nullptr;
  Index bytes = 0;
};

/// Share `i` of `n` of [data, data + bytes).
Ahead share_of(const std::byte* data, Index bytes, Index i, Index n) noexcept {
  if (data == nullptr) return {};
  const Index each = ceil_div(bytes, n);
  return {data + i * each, std::max<Index>(0, std::min(each, bytes - i * each))};
}

/// Panel `panel` from row k on.
const std::byte* panel_at(const GemmOperands& o, Index panel, Index k) noexcept {
  return static_cast<const std::byte*>(o.panels) + panel * o.gemm.panel_bytes(o.K) +
         o.gemm.panel_offset(k);
}

/// The panel at position `p` of the order in which they are computed.
Index panel_id(const GemmOperands& o, Index p) noexcept {
  return o.behind.group.panel_at(p);
}

const std::byte* element_of_a(const GemmOperands& o, Index i, Index k) noexcept {
  return static_cast<const std::byte*>(o.a) + (i * o.lda + k) * o.gemm.bits.a / 8;
}

/// From so many tiles of rows on they pass by: few of them are still in L2 when the next columns begin,
/// and weights that come from memory need every call.
constexpr Index kPassingTiles = 8;

/// Panels inside, with K whole: the calls of a block are numbered c = 0, 1, …; of each NC + MC of them NC
/// prefetch the columns of the next block, the others rows of the next tile, so that both arrive evenly.
///
///   calls before c that prefetch columns   ⌊c·NC/(NC + MC)⌋
Ahead ahead_by_rows(const GemmOperands& o, Range panels, const TileStep& s) noexcept {
  const Index P = panels.size(), NC = P * o.gemm.NR, MC = s.shares * o.gemm.MR;
  const auto of_columns = [&](Index c) { return c * NC / (NC + MC); };
  const auto of_rows = [&](Index c) { return c - of_columns(c); };
  const Index tile = s.share * P;  // the first call of these rows
  const Index c = tile + s.panels.begin - panels.begin;
  const Index n = of_columns(c), all = of_columns(s.shares * P);
  if (of_columns(c + 1) == n) {
    const Index stride = o.lda * o.gemm.bits.a / 8;
    return share_of(element_of_a(o, s.next_m.begin, 0), s.next_m.size() * stride,
                    of_rows(c) - of_rows(tile), of_rows(tile + P) - of_rows(tile));
  }
  if (panels.end == panel_count(o)) {
    return share_of(static_cast<const std::byte*>(o.after), o.after_bytes, n, all);
  }
  const Index there = n * P / all, panel = panels.end + there;  // `all` ≥ P: no panel is left out
  if (panel >= panel_count(o)) return {};
  const Index first = ceil_div(there * all, P), next = ceil_div((there + 1) * all, P);
  return share_of(panel_at(o, panel_id(o, panel), 0), o.gemm.rows_bytes(o.K), n - first,
                  next - first);
}

/// Whether the rows of A are prefetched too. Rows of a wider matrix would be read with what lies between.
bool prefetches_rows(const GemmOperands& o, const LoopNest& nest, const TileStep& s) noexcept {
  return goes_by_rows(nest.order) && s.shares >= kPassingTiles && s.k.size() == o.K &&
         8 * o.lda <= 9 * o.K;
}

/// What the tile prefetches meanwhile.
Ahead ahead_of(const GemmOperands& o, const LoopNest& nest, Range panels,
               const TileStep& s) noexcept {
  if (s.panels.size() > 1) return {};  // what follows in memory
  if (prefetches_rows(o, nest, s)) return ahead_by_rows(o, panels, s);
  Index panel = s.next_panel;
  const bool by_columns = goes_by_rows(nest.order);
  if (panel < 0 && by_columns && s.k.end == o.K) {  // this panel's place in the next block
    const Index there = s.panels.begin + panels.size();
    if (there * o.gemm.NR < o.N) panel = there;
  }
  if (panel >= 0) {
    return share_of(panel_at(o, panel_id(o, panel), s.next_k.begin),
                    o.gemm.rows_bytes(s.next_k.size()), s.share, s.shares);
  }
  if (o.after == nullptr || s.k.end != o.K) return {};
  const Index of_panels = by_columns ? panels.size() : 1;
  return share_of(static_cast<const std::byte*>(o.after), o.after_bytes,
                  s.share * of_panels + (s.panels.begin - panels.begin) % of_panels,
                  s.shares * of_panels);
}

/// What the calls of a block share.
struct BlockState {
  Index first_row;
  bool by_rows;  // goes_by_rows()
  kernels::GemmOperand streams;
  kernels::LaterEpilogue later;
};

/// Where a tile's products go.
struct Place {
  float* c;
  Index ldc;
};

/// Panels s.panels, neighbours in memory; `apart`: their products go there.
void run_tile(const GemmOperands& o, const TileStep& s, Ahead ahead, BlockState& state,
              Place apart = {nullptr, 0}) noexcept {
  const Index NR = o.gemm.NR, n = s.panels.begin * NR;
  const bool first = s.k.begin == 0, last = s.k.end == o.K;
  const bool adds_bias = o.gemm.of_integers ? last : first;
  const Index column =
      o.block_columns == 0 ? n : n / o.block_columns * o.block_stride + n % o.block_columns;
  kernels::GemmTile t{
      .a = element_of_a(o, s.m.begin, s.k.begin),
      .lda = o.lda,
      .b = panel_at(o, s.panels.begin, s.k.begin),
      .ldb = o.gemm.panel_bytes(o.K),
      .c = o.c == nullptr ? nullptr : o.c + s.m.begin * o.ldc + column,
      .ldc = o.ldc,
      .mr = s.m.size(),
      .nr = std::min(s.panels.end * NR, o.N) - n,
      .kc = s.k.size(),
      .bias = o.bias == nullptr || !adds_bias ? nullptr : o.bias + n,
      .residual = o.residual == nullptr || !last ? nullptr : o.residual + s.m.begin * o.ldr + n,
      .ldr = o.ldr,
      .accumulate = !first,
      .activation = last ? o.activation : Activation::none,
      .ahead = ahead.bytes > 0 ? ahead.data : nullptr,
      .ahead_bytes = ahead.bytes,
      .resident = o.resident,
      .narrow = o.narrow == nullptr || !last ? nullptr : o.narrow + s.m.begin * o.ldn + column,
      .ldn = o.ldn,
      .streams = state.streams,
      .later = o.gemm.finish == nullptr ? nullptr : &state.later};
  if (o.gemm.of_integers) {
    t.heads = static_cast<const std::byte*>(o.panels) + s.panels.begin * t.ldb;
    t.row_scales = last ? o.row_scales + s.m.begin * o.row_scale_step : nullptr;
    t.row_scale_step = o.row_scale_step;
  }
  if (apart.c != nullptr) t.c = apart.c, t.ldc = apart.ldc;
  if (o.sums != nullptr && s.k.size() < o.K) {
    float* const sums = o.sums + (s.m.begin - state.first_row) * NR;
    if (!last) t.c = sums, t.ldc = NR;
    t.sums = sums, t.lds = NR;
  }
  o.gemm.run(t);
}

/// The ops behind on the products of rows m at positions [begin, end): whole groups.
void run_behind(const GemmOperands& o, Range m, Range positions, Place c,
                BlockState& state) noexcept {
  if (o.gemm.finish != nullptr) o.gemm.finish(state.later);
  const Index NR = o.gemm.NR, divisor = o.behind.group.pairs ? 2 : 1;
  const Index column = positions.begin / divisor * NR;
  const Index width = o.N / divisor;
  o.behind.run(o.behind.self, {.rows = m,
                               .column = column,
                               .columns = std::min(positions.size() / divisor * NR, width - column),
                               .c = c.c,
                               .ldc = c.ldc,
                               .to_right = positions.size() / divisor * NR});
}

/// One panel of a group, and behind the last chunk of its last one the ops.
void run_in_group(const GemmOperands& o, const TileStep& s, Ahead ahead,
                  BlockState& state) noexcept {
  const TileGroup& group = o.behind.group;
  const Index NR = o.gemm.NR, p = s.panels.begin, first = p / group.panels * group.panels,
              id = panel_id(o, p);
  const Index ld = group.panels * NR, row = state.by_rows ? 0 : s.m.begin - state.first_row;
  const Place of_group = group.apart ? Place{o.behind.apart + row * ld, ld}
                                     : Place{o.c + s.m.begin * o.ldc + first * NR, o.ldc};
  TileStep one = s;
  one.panels = {id, id + 1};
  run_tile(o, one, ahead, state,
           group.apart ? Place{of_group.c + (p - first) * NR, of_group.ldc} : Place{nullptr, 0});
  const Index end = std::min(first + group.panels, panel_count(o));
  if (s.k.end == o.K && p + 1 == end) run_behind(o, s.m, {first, end}, of_group, state);
}

/// A single tile of rows: the micro-kernel takes several panels at a time, and the ops as many.
void run_few_rows(const GemmOperands& o, const TileStep& s, BlockState& state) noexcept {
  const TileGroup& group = o.behind.group;
  const Index NR = o.gemm.NR;
  TileStep some = s;
  if (!group.apart) {
    run_tile(o, s, {}, state);
    return run_behind(o, s.m, s.panels, {o.c + s.m.begin * o.ldc + s.panels.begin * NR, o.ldc},
                      state);
  }
  const Index step = std::max(kFewPanels / group.panels, Index{1}) * group.panels, ld = step * NR;
  float* const c = o.behind.apart;
  for (Index p = s.panels.begin; p < s.panels.end; p += step) {
    const Range positions{p, std::min(p + step, s.panels.end)};
    if (group.pairs) {
      const Index n = positions.size() / 2, left = panel_id(o, p), right = panel_id(o, p + 1);
      some.panels = {left, left + n};
      run_tile(o, some, {}, state, {c, ld});
      some.panels = {right, right + n};
      run_tile(o, some, {}, state, {c + n * NR, ld});
    } else {
      some.panels = positions;
      run_tile(o, some, {}, state, {c, ld});
    }
    run_behind(o, s.m, positions, {c, ld}, state);
  }
}

}  // namespace

Range column_block(const GemmOperands& o, Index i, Index n) noexcept {
  return piece_of_groups(panel_count(o), o.behind.group.panels, i, n);
}

Index panel_count(const GemmOperands& o) noexcept {
  return ceil_div(o.N, o.gemm.NR);
}

const void* row_of_a(const GemmOperands& o, Index i) noexcept {
  return element_of_a(o, i, 0);
}

GemmOperands from_row(GemmOperands o, Index i) noexcept {
  o.a = row_of_a(o, i);
  if (o.c != nullptr) o.c += i * o.ldc;
  if (o.narrow != nullptr) o.narrow += i * o.ldn;
  if (o.residual != nullptr) o.residual += i * o.ldr;
  if (o.row_scales != nullptr) o.row_scales += i * o.row_scale_step;
  return o;
}

void run_block(const GemmOperands& o, const LoopNest& nest, Range rows, Range panels) noexcept {
  constexpr Index kTilesPerLook = 8;  // a look at the clock takes 1 % of a short tile's time
  Index tiles = 0;
  bool ended = false;
  const kernels::Entered entered(o.gemm);
  BlockState state;
  state.first_row = rows.begin;
  state.by_rows = goes_by_rows(nest.order);
  state.streams = streamed_operand(nest, rows.size(), o.gemm.MR);
  for_each_tile(nest, rows, panels, o.K, o.gemm.MR, o.gemm.KR, takes_whole_tiles(o.gemm),
                [&](const TileStep& s) {
                  if (o.stop != nullptr && tiles++ % kTilesPerLook == 0)
                    ended = o.stop->requested();
                  if (ended) return;
                  if (o.behind.run != nullptr) {
                    if (s.panels.size() != 1) return run_few_rows(o, s, state);
                    return run_in_group(o, s, ahead_of(o, nest, panels, s), state);
                  }
                  if (o.block_columns == 0 || s.panels.size() == 1) {
                    return run_tile(o, s, ahead_of(o, nest, panels, s), state);
                  }
                  TileStep one = s;  // panels of different blocks are not neighbours in C
                  for (Index p = s.panels.begin; p < s.panels.end; ++p) {
                    one.panels = {p, p + 1};
                    run_tile(o, one, {}, state);
                  }
                });
  if (o.gemm.finish != nullptr) o.gemm.finish(state.later);
}

void run_gemm(const GemmOperands& o, const LoopNest& nest, Index M) noexcept {
  for (Index r = 0; r < nest.row_blocks; ++r) {
    for (Index c = 0; c < nest.col_blocks; ++c) {
      run_block(o, nest, row_block(M, r, nest.row_blocks, o.gemm.MR, takes_whole_tiles(o.gemm)),
                column_block(o, c, nest.col_blocks));
    }
  }
}

}  // namespace tessera::execute
