// SPDX-License-Identifier: Apache-2.0
//
// Attention of one head: O = softmax(scale·QKᵀ + bias) V over key tiles of Bc, in log2 units.
//
//   Q' = scale·log₂e·Q                (Tq, d)   once per block, transposed
//   m  = maximum over the first keys  (Tq)      reference of the exponents, raised only when needed
//   P  = 2^(Q' Kᵀ + log₂e·bias − m)   (Tq, Bc)  stored as Pᵀ, key by key
//   l  = α l + rowsum P               (Tq)      row sum so far
//   O  = α O + P V                    (Tq, d)   α = 1, or 2^(m_old − m) where m was raised
//   after the last tile: O = O / l
//
// The order of blocks and tiles is the walk's (walk.hpp), the steps are here. A row's arithmetic
// depends on d, Tk, the ISA and, under a mask, on where its block begins: queries are lanes of
// vectors, every sum is one chain over k or over the keys in order. A row with l = 0 (all scores
// −inf) has O = 0. NaN in a row of Q, or in any visible K or V, reaches O. Milakov & Gimelshein 2018
// (online softmax); Dao et al. 2022 (FlashAttention).
#pragma once

#include "kernels/attention/interleaved.inl.hpp"
#include "kernels/attention/row_complete.inl.hpp"

namespace tessera::kernels {
namespace {

/// The walk's visitor that computes.
template <class A>
class AttentionSteps {
 public:
  explicit AttentionSteps(const AttentionTask& t) noexcept
      : t_{t},
        at_{scratch_layout(t.dataflow, t.Tq, t.Tk, t.d)},
        tile_{split_tile(t.scratch)},
        second_{tile_} {
    second_.st = t.scratch + at_.second;
  }

  void zero_rows(Index i0, Index i1) const noexcept {
    for (Index i = i0; i < i1; ++i) {
      for (Index n = 0; n < t_.d; ++n) t_.o[i * t_.ldo + n] = 0.0F;
    }
  }
  Block block_at(Index slot, Index i0, Index i1) const noexcept {
    float* const state = t_.scratch + at_.states + slot * block_elements(t_.d);
    return kernels::block_at(state, t_.d, kLanes<A>, i0, i1);
  }
  Block start_block(Index slot, Index i0, Index i1) const noexcept {
    const Block b = block_at(slot, i0, i1);
    kernels::start_block<A>(t_, b);
    return b;
  }
  void attend_tile(const Block& b, const KeyTile& tile) const noexcept {
    kernels::attend_tile<A>(t_, b, tile_, tile);
  }
  void divide_rows(const Block& b) const noexcept { kernels::divide_rows<A>(t_, b); }

  void add_scores(const Block& b, Index slot, Index keys, const KeyTile& tile) const noexcept {
    tile_scores<A>(t_, b, tile_, scores(at_.S, slot) + keys * b.ld, tile);
  }
  void softmax(const Block& b, Index slot, Index keys) const noexcept {
    block_softmax<A>(b, scores(at_.S, slot), scores(at_.P, slot), keys);
  }
  void divide_sums(const Block& b) const noexcept { reciprocal_of_sums<A>(b); }
  void add_values(const Block& b, Index slot, Index keys, const KeyTile& tile) const noexcept {
    kernels::add_values<A>(t_, b, scores(at_.P, slot) + keys * b.ld, tile, Start::kept);
  }

  void multiply(int n, const Block& b, const KeyTile& tile) noexcept {
    woven_scores<A>(b, scores_of(t_, b, part(n), tile), tile.bc, waiting_);
  }
  void begin_exponentials(int n, const Block& b, const KeyTile& tile) noexcept {
    waiting_ = kernels::begin_exponentials<A>(b, part(n).st, tile.bc);
  }
  void drain() noexcept { waiting_.drain(); }
  void add(int n, const Block& b, const KeyTile& tile) const noexcept {
    if (tile.last) reciprocal_of_sums<A>(b);
    kernels::add_values<A>(t_, b, part(n).st, tile, Start::scaled);
  }

 private:
  float* scores(Index at, Index slot) const noexcept {
    return t_.scratch + at + slot * score_elements(t_.Tk);
  }
  const TileScratch& part(int n) const noexcept { return n == 0 ? tile_ : second_; }

  const AttentionTask& t_;
  ScratchLayout at_;
  TileScratch tile_, second_;
  Exponentials<A> waiting_{};
};

template <class A>
void attention(const AttentionTask& t) noexcept {
  TESSERA_ASSERT(t.Tq >= 1 && t.Tk >= 0 && t.d >= 1 && t.d <= kMaxHeadDim);
  TESSERA_ASSERT(reinterpret_cast<std::uintptr_t>(t.scratch) % 64 == 0);
  AttentionSteps<A> steps(t);
  walk_task(t, kLanes<A>, steps);
}

}  // namespace
}  // namespace tessera::kernels
