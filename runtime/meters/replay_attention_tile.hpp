// SPDX-License-Identifier: Apache-2.0
//
// The steps of kernels/attention/tile.inl.hpp and products.inl.hpp as touches: the same scratch,
// the same order within a register tile. Internal to the source that walks the dataflows.
#pragma once

#include "kernels/attention/blocks.hpp"
#include "kernels/attention/mask.hpp"
#include "kernels/kernel_table.hpp"
#include "runtime/meters/replay_touch.hpp"

namespace tessera::meters {
namespace {

using kernels::AttentionDataflow;
using kernels::AttentionTask;
using kernels::KeyRun;
using kernels::KeyTiles;

enum class Start { zero, kept, scaled };
enum class Finish { store, first, fused };

/// The parts of a worker's scratch (tile.inl.hpp: TileScratch, Block).
struct Tile {
  float *st, *start, *window;
};
struct Block {
  float *qt, *m, *l, *alpha, *sum;
  Index i0, rows, ld;
};
constexpr Index tile_elements(Index Br, Index Bc) noexcept {
  return 2 * Bc * Br + 16 * Bc + Bc + Br + 16;
}
constexpr Index block_elements(Index Br, Index d) noexcept {
  return Br * (d + 4);
}

template <class Body>
void for_each_group(Index n, Index most, Body&& body) {
  const Index groups = (n + most - 1) / most;
  for (Index g = 0, i = 0; g < groups; ++g) {
    const Index rows = (n - i + groups - g - 1) / (groups - g);
    body(i, rows);
    i += rows;
  }
}

class TileTouch {
 protected:
  TileTouch(const AttentionTask& t, const kernels::Attention& kernel, Touch touch) noexcept
      : t_(t),
        touch_(touch),
        Br_(kernel.Br),
        Bc_(kernel.Bc),
        MR_(kernel.MR),
        V_(kernel.V),
        tile_{.st = t.scratch,
              .start = t.scratch + Bc_ * Br_,
              .window = t.scratch + 2 * Bc_ * Br_ + 16 * Bc_},
        state_(t.scratch + tile_elements(Br_, Bc_)) {}

  // ---- Cuts

  template <class Body>
  void each_block(Index begin, Index end, Index most, Body&& body) {
    const Index count = kernels::count_blocks(end - begin, most);
    for (Index n = 0; n < count; ++n) {
      body(begin + kernels::first_row(end - begin, count, V_, n),
           begin + kernels::first_row(end - begin, count, V_, n + 1));
    }
  }
  KeyTiles key_tiles(Index i0, Index i1) const noexcept {
    return {t_.mask, t_.q_begin + i0, t_.q_begin + i1 - 1, t_.Tk, Bc_};
  }
  Block block_at(float* p, Index i0, Index i1) const noexcept {
    const Index rows = i1 - i0;
    float* m = p + Br_ * t_.d;
    return {.qt = p,
            .m = m,
            .l = m + Br_,
            .alpha = m + 2 * Br_,
            .sum = m + 3 * Br_,
            .i0 = i0,
            .rows = rows,
            .ld = (rows + V_ - 1) / V_ * V_};
  }

  // ---- Steps of tile.inl.hpp

  Block start_block(float* p, Index i0, Index i1) noexcept {
    const Block b = block_at(p, i0, i1);
    const float* q = t_.q + i0 * t_.ldq;
    for (Index i = 0; i < b.ld; i += V_) {  // pack_queries
      for (Index k = 0; k < t_.d; k += 4) {
        const Index n = std::min<Index>(4, t_.d - k);
        for (Index r = 0; r < V_; ++r) touch_.read(q + std::min(i + r, b.rows - 1) * t_.ldq + k, n);
        for (Index r = 0; r < n; ++r) touch_.write(b.qt + (k + r) * b.ld + i, V_);
      }
    }
    touch_.write(b.m, b.ld);
    touch_.write(b.l, b.ld);
    return b;
  }

  void zero_rows(Index i0, Index i1) noexcept {
    touch_.write_rows(t_.o + i0 * t_.ldo, t_.ldo, i1 - i0, t_.d);
  }

  /// What S starts from: (null, 0) for 0, else first element and row stride.
  struct Init {
    const float* p;
    Index ld;
  };
  Init set_start(const Block& b, Index j0, Index bc, bool full) noexcept {
    const bool biased = t_.bias != nullptr || t_.slope != 0.0F;
    if (full && !biased && t_.dense == nullptr) return {nullptr, 0};
    const Index q0 = t_.q_begin + b.i0;
    if (t_.dense == nullptr && (!biased || (t_.q_columns == nullptr && t_.k_columns == nullptr))) {
      const Index last = j0 + bc - 1 - q0, n = bc + b.rows - 1;
      if (t_.bias != nullptr) touch_.read(t_.bias + last - n + 1, n);
      touch_.write(tile_.window, bc + b.ld);
      return {tile_.window + bc - 1, -1};
    }
    for (Index j = 0; j < bc; ++j) {
      if (t_.k_columns != nullptr) touch_.read(t_.k_columns + j0 + j, 1);
      for (Index i = 0; i < b.rows; ++i) {
        if (t_.q_columns != nullptr) touch_.read(t_.q_columns + b.i0 + i, 1);
        if (t_.bias != nullptr) {
          const Index k_column = t_.k_columns == nullptr ? j0 + j : t_.k_columns[j0 + j];
          const Index q_column = t_.q_columns == nullptr ? q0 + i : t_.q_columns[b.i0 + i];
          touch_.read(t_.bias + k_column - q_column, 1);
        }
        if (t_.dense != nullptr) touch_.read(t_.dense + (b.i0 + i) * t_.ld_dense + j0 + j, 1);
      }
      touch_.write(tile_.start + j * b.ld, b.ld);
    }
    return {tile_.start, b.ld};
  }

  /// Keys [j, j+keys) of the tile from j0 on against vectors [i, i+n) of queries (scores_tile).
  void scores_tile(const Block& b, Init init, float* st, Index j0, Index j, Index keys, Index i,
                   Index n, Finish finish) noexcept {
    if (finish == Finish::fused) touch_.read(b.m + i, n);
    if (init.p != nullptr) {
      for (Index r = 0; r < keys; ++r) touch_.read(init.p + (j + r) * init.ld + i, n);
    }
    touch_.broadcast_rows(t_.k + (j0 + j) * t_.ldk, t_.ldk, keys, t_.d,
                          [&](Index k) { touch_.read(b.qt + k * b.ld + i, n); });
    float* top = finish == Finish::first ? b.m : b.alpha;
    if (finish != Finish::fused) touch_.write(top + i, n);
    if (finish != Finish::store) touch_.read(b.sum + i, n);
    for (Index v = 0; v < n; v += V_) touch_.write_rows(st + j * b.ld + i + v, b.ld, keys, V_);
    if (finish != Finish::store) touch_.write(b.sum + i, n);
  }
  void scores_rows(const Block& b, Init init, float* st, Index j0, Index j, Index keys, Index i0,
                   Index i1, Finish finish) noexcept {
    for (Index i = i0; i < i1;) {
      const Index n = std::min(2 * V_, i1 - i);
      scores_tile(b, init, st, j0, j, keys, i, n, finish);
      i += n;
    }
  }

  void fused_probabilities(const Block& b, Init init, Index j0, Index bc, bool first) noexcept {
    touch_.write(b.sum, b.ld);
    for_each_group(bc, MR_, [&](Index j, Index keys) {
      scores_rows(b, init, tile_.st, j0, j, keys, 0, b.ld,
                  first && j == 0 ? Finish::first : Finish::fused);
    });
    touch_.read(b.sum, b.ld);
    touch_.write(b.l, b.ld);
  }

  void masked_scores(const Block& b, Init init, float* st, Index j0, Index bc, bool full) noexcept {
    touch_.write(b.alpha, b.ld);
    const Index q0 = t_.q_begin + b.i0;
    for_each_group(bc, MR_, [&](Index j, Index keys) {
      if (full) return scores_rows(b, init, st, j0, j, keys, 0, b.ld, Finish::store);
      for (Index i = 0; i < b.ld; i += 2 * V_) {
        const Index end = std::min(i + 2 * V_, b.ld), q_lo = q0 + i,
                    q_hi = q0 + std::min(end, b.rows) - 1;
        if (kernels::any_visible(t_.mask, j0 + j - q_hi, j0 + j + keys - 1 - q_lo)) {
          scores_rows(b, init, st, j0, j, keys, i, end, Finish::store);
        } else {
          touch_.write_rows(st + j * b.ld + i, b.ld, keys, end - i);
        }
      }
    });
  }

  /// P over S, vector of queries by vector (online_softmax, block_softmax).
  void softmax(const Block& b, const float* st, float* pt, Index keys) noexcept {
    for (Index i = 0; i < b.ld; i += V_) {
      touch_.read(b.m + i, V_);
      for (Index j = 0; j < keys; ++j) {
        touch_.read(st + j * b.ld + i, V_);
        touch_.write(pt + j * b.ld + i, V_);
      }
      touch_.write(b.l + i, V_);
    }
  }

  void values(const float* pt, Index ldp, const float* v, float* o, const Block& b, Start start,
              bool last, Index bc, Index i_begin, Index i_end) noexcept {
    for (Index n0 = 0; n0 < t_.d; n0 += 2 * V_) {
      const Index n = std::min(2 * V_, t_.d - n0);
      for_each_group(i_end - i_begin, MR_, [&](Index i, Index rows) {
        const Index at = i_begin + i;
        if (start == Start::scaled) touch_.read(b.alpha + at, rows);
        if (start != Start::zero) touch_.read_rows(o + at * t_.ldo + n0, t_.ldo, rows, n);
        for (Index j = 0; j < bc; ++j) {
          touch_.read(v + j * t_.ldv + n0, n);
          touch_.read(pt + j * ldp + at, rows);
        }
        if (last) touch_.read(b.sum + at, rows);
        touch_.write_rows(o + at * t_.ldo + n0, t_.ldo, rows, n);
      });
    }
  }
  void add_values(const Block& b, const float* pt, Index j0, Index bc, bool full, Start start,
                  bool last) noexcept {
    const float* v = t_.v + j0 * t_.ldv;
    float* o = t_.o + b.i0 * t_.ldo;
    if (full) return values(pt, b.ld, v, o, b, start, last, bc, 0, b.rows);
    for_each_group(b.rows, MR_, [&](Index i, Index rows) {
      const Index q_lo = t_.q_begin + b.i0 + i, q_hi = q_lo + rows - 1;
      const Index begin = q_lo + kernels::next_visible(t_.mask, j0 - q_hi);
      const Index end = q_hi + kernels::previous_visible(t_.mask, j0 + bc - 1 - q_lo) + 1;
      const Index from = std::min(std::max(begin, j0), j0 + bc) - j0;
      const Index to = std::max(std::min(end, j0 + bc) - j0, from);
      values(pt + from * b.ld, b.ld, v + from * t_.ldv, o, b, start, last, to - from, i, i + rows);
    });
  }
  void reciprocal_of_sums(const Block& b) noexcept {
    touch_.read(b.l, b.ld);
    touch_.write(b.sum, b.ld);
  }

  void attend_tile(const Block& b, Index j0, Index bc, bool full, bool first, bool last) noexcept {
    const Init init = set_start(b, j0, bc, full);
    if (full) {
      fused_probabilities(b, init, j0, bc, first);
    } else {
      masked_scores(b, init, tile_.st, j0, bc, full);
      touch_.write(b.m, b.ld);
      touch_.write(b.alpha, b.ld);
      softmax(b, tile_.st, tile_.st, bc);
    }
    if (last) reciprocal_of_sums(b);
    add_values(b, tile_.st, j0, bc, full,
               first  ? Start::zero
               : full ? Start::kept
                      : Start::scaled,
               last);
  }

  float* state(Index block) const noexcept { return state_ + block * block_elements(Br_, t_.d); }

  const AttentionTask& t_;
  Touch touch_;
  Index Br_, Bc_, MR_, V_;
  Tile tile_;
  float* state_;
};

}  // namespace
}  // namespace tessera::meters
