// SPDX-License-Identifier: Apache-2.0
//
// The steps of kernels/attention/tile.inl.hpp and products.inl.hpp as touches: the same scratch,
// the same order within a register tile.
#pragma once

#include "kernels/attention/walk.hpp"
#include "runtime/meters/replay_touch.hpp"

namespace tessera::meters {
namespace {

using kernels::AttentionTask;
using kernels::Block;
using kernels::for_each_group;
using kernels::KeyRun;
using kernels::KeyTile;

enum class Start { zero, kept, scaled };
enum class Finish { store, first, fused };

class TileTouch {
 protected:
  /// Rows of Q, K and V as words of KR elements: 1, or 2 of bf16.
  TileTouch(const AttentionTask& t, Index V, Touch touch) noexcept
      : t_(t),
        touch_(touch),
        V_(V),
        MR_(kernels::tile_rows(V)),
        KR_(t.narrow == nullptr ? 1 : 2),
        tile_(kernels::split_tile(t.scratch)) {}

  /// Row i of Q, K or V.
  const float* rows_of(const void* x, Index ld, Index i) const noexcept {
    return static_cast<const float*>(x) + i * (ld / KR_);
  }

  void pack_queries(const Block& b) noexcept {
    const float* q = rows_of(t_.q, t_.ldq, b.i0);
    const Index d = t_.d / KR_, ldq = t_.ldq / KR_;
    for (Index i = 0; i < b.ld; i += V_) {
      for (Index k = 0; k < d; k += 4) {
        const Index n = std::min<Index>(4, d - k);
        for (Index r = 0; r < V_; ++r) touch_.read(q + std::min(i + r, b.rows - 1) * ldq + k, n);
        for (Index r = 0; r < n; ++r) touch_.write(b.qt + (k + r) * b.ld + i, V_);
      }
    }
    touch_.write(b.m, b.ld);
    touch_.write(b.l, b.ld);
  }

  /// What S starts from: (null, 0) for 0, else first element and row stride.
  struct Init {
    const float* p;
    Index ld;
  };
  Init set_start(const Block& b, const KeyTile& tile) noexcept {
    const Index j0 = tile.j0, bc = tile.bc;
    const bool biased = t_.bias != nullptr || t_.slope != 0.0F;
    if (tile.full && !biased && t_.dense == nullptr) return {nullptr, 0};
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
    touch_.broadcast_rows(rows_of(t_.k, t_.ldk, j0 + j), t_.ldk / KR_, keys, t_.d / KR_,
                          [&](Index k) { touch_.read(b.qt + k * b.ld + i, n); });
    float* top = finish == Finish::first ? b.m : b.alpha;
    if (finish != Finish::fused) touch_.write(top + i, n);
    if (finish != Finish::store) touch_.read(b.sum + i, n);
    const Index KR = finish == Finish::store ? 1 : KR_;  // P as words
    for (Index v = 0; v < n; v += V_) {
      touch_.write_rows(st + j / KR * b.ld + i + v, b.ld, (keys + KR - 1) / KR, V_);
    }
    if (finish != Finish::store) touch_.write(b.sum + i, n);
  }

  void fused_probabilities(const Block& b, Init init, const KeyTile& tile) noexcept {
    touch_.write(b.sum, b.ld);
    for_each_group((tile.bc + KR_ - 1) / KR_, MR_ / KR_, [&](Index word, Index words) {
      const Index j = word * KR_, keys = std::min(words * KR_, tile.bc - j);
      for (Index i = 0; i < b.ld; i += 2 * V_)
        scores_tile(b, init, tile_.st, tile.j0, j, keys, i, std::min(2 * V_, b.ld - i),
                    tile.first && j == 0 ? Finish::first : Finish::fused);
    });
    touch_.read(b.sum, b.ld);
    touch_.write(b.l, b.ld);
  }

  void masked_scores(const Block& b, Init init, float* st, const KeyTile& tile) noexcept {
    touch_.write(b.alpha, b.ld);
    kernels::for_each_score_tile(t_.mask, t_.q_begin + b.i0, b.rows, V_, tile.j0, tile.bc,
                                 [&](Index j, Index keys, Index i, Index end, bool visible) {
                                   if (visible)
                                     return scores_tile(b, init, st, tile.j0, j, keys, i, end - i,
                                                        Finish::store);
                                   touch_.write_rows(st + j * b.ld + i, b.ld, keys, end - i);
                                 });
  }

  /// P over S, vector of queries by vector (online_softmax, block_softmax).
  void exponentials(const Block& b, const float* st, float* pt, Index keys) noexcept {
    for (Index i = 0; i < b.ld; i += V_) {
      touch_.read(b.m + i, V_);
      for (Index j = 0; j < keys; ++j) {
        touch_.read(st + j * b.ld + i, V_);
        touch_.write(pt + j * b.ld + i, V_);
      }
      touch_.write(b.l + i, V_);
    }
  }

  /// Words of P and V (value_words.inl.hpp).
  struct Words {
    const float* v;
    Index ldv;
  };
  Words words_of_values(const Block& b, float* pt, const KeyTile& tile, bool of_words) noexcept {
    if (KR_ == 1) return {rows_of(t_.v, t_.ldv, tile.j0), t_.ldv};
    for (Index j = 0; j < tile.bc && !of_words; j += 2) {
      for (Index i = 0; i < b.ld; i += V_) {
        touch_.read(pt + j * b.ld + i, V_);
        if (j + 1 < tile.bc) touch_.read(pt + (j + 1) * b.ld + i, V_);
        touch_.write(pt + j / 2 * b.ld + i, V_);
      }
    }
    for (Index j = 0; j < tile.bc; j += 2) {
      for (Index r = j; r < std::min(j + 2, tile.bc); ++r) {
        touch_.read(rows_of(t_.v, t_.ldv, tile.j0 + r), t_.d / 2);
      }
      touch_.write(tile_.vt + j / 2 * t_.d, t_.d);
    }
    return {tile_.vt, t_.d};
  }

  void values(const float* pt, const Words& w, const Block& b, Start start, bool last, Index bc,
              Index i_begin, Index i_end) noexcept {
    for (Index n0 = 0; n0 < t_.d; n0 += 2 * V_) {
      const Index n = std::min(2 * V_, t_.d - n0);
      for_each_group(i_end - i_begin, MR_, [&](Index i, Index rows) {
        const Index at = i_begin + i;
        if (start == Start::scaled) touch_.read(b.alpha + at, rows);
        if (start != Start::zero) touch_.read_rows(b.o + at * b.ldo + n0, b.ldo, rows, n);
        for (Index j = 0; j < bc; ++j) {
          touch_.read(w.v + j * w.ldv + n0, n);
          touch_.read(pt + j * b.ld + at, rows);
        }
        if (last) touch_.read(b.sum + at, rows);
        touch_.write_rows(b.o + at * b.ldo + n0, b.ldo, rows, n);
      });
    }
  }
  /// `of_words`: P was written so.
  void add_values(const Block& b, float* pt, const KeyTile& tile, Start after,
                  bool of_words = false) noexcept {
    const Start start = tile.first ? Start::zero : after;
    const Words w = words_of_values(b, pt, tile, of_words);
    const auto words = [&](Index keys) { return (keys + KR_ - 1) / KR_; };
    if (tile.full) return values(pt, w, b, start, tile.last, words(tile.bc), 0, b.rows);
    for_each_group(b.rows, MR_, [&](Index i, Index rows) {
      const Index q_lo = t_.q_begin + b.i0 + i;
      const KeyRun keys =
          kernels::visible_keys(t_.mask, q_lo, q_lo + rows - 1, tile.j0, tile.j0 + tile.bc);
      const Index from = (keys.begin - tile.j0) / KR_;
      values(pt + from * b.ld, {w.v + from * w.ldv, w.ldv}, b, start, tile.last,
             words(keys.end - tile.j0) - from, i, i + rows);
    });
  }
  /// O of a block is complete: bf16 is rounded now.
  void finish(const Block& b) noexcept {
    if (t_.narrow == nullptr) return;
    for (Index i = 0; i < b.rows; ++i) {
      touch_.read(b.o + i * b.ldo, t_.d);
      touch_.write(t_.narrow + (b.i0 + i) * t_.ldn, t_.d);
    }
  }
  void reciprocal_of_sums(const Block& b) noexcept {
    touch_.read(b.l, b.ld);
    touch_.write(b.sum, b.ld);
  }

  const AttentionTask& t_;
  Touch touch_;
  Index V_, MR_, KR_;
  kernels::TileScratch tile_;
};

}  // namespace
}  // namespace tessera::meters
