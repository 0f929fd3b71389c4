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
// E says what Q, K, P and V are when they are multiplied (gemm/elements.inl.hpp): f32, or bf16. Of
// bf16 P is rounded here and O at the end, and Q' is Q: scores are scaled instead; sums and exponents
// are f32, exponentials as precise as their rounding asks for (exp2_of).
//
// The order of blocks and tiles is the walk's (walk.hpp), the steps are here. A row's arithmetic
// depends on d, Tk, the ISA and, under a mask, on where its block begins: queries are lanes of
// vectors, every sum is one chain over k or over the keys in order. A row with l = 0 (all scores
// −inf) has O = 0. NaN in a row of Q, or in any visible K or V, reaches O. Milakov & Gimelshein 2018
// (online softmax); Dao et al. 2022 (FlashAttention).
#pragma once

#include "kernels/attention/interleaved.inl.hpp"
#include "kernels/attention/row_complete.inl.hpp"
#include "kernels/simd/narrow.inl.hpp"

namespace tessera::kernels {
namespace {

/// The walk's visitor that computes. bf16 keeps the sums of O in scratch until they are rounded.
template <class A, class E>
class AttentionSteps {
  static constexpr bool kNarrow = E::kKR > 1;

 public:
  explicit AttentionSteps(const AttentionTask& t) noexcept
      : t_{t},
        at_{scratch_layout(t.dataflow, t.Tq, t.Tk, t.d, kNarrow)},
        tile_{split_tile(t.scratch)} {
    tile_.vt = t.scratch + at_.values;
    second_ = tile_;
    second_.st = t.scratch + at_.second;
  }

  void zero_rows(Index i0, Index i1) const noexcept {
    for (Index i = i0; i < i1; ++i) {
      for (Index n = 0; n < t_.d; ++n) {
        if constexpr (kNarrow) {
          t_.narrow[i * t_.ldn + n] = 0;
        } else {
          t_.o[i * t_.ldo + n] = 0.0F;
        }
      }
    }
  }
  Block block_at(Index slot, Index i0, Index i1) const noexcept {
    float* const state = t_.scratch + at_.states + slot * block_elements(t_.d);
    Block b = kernels::block_at(state, t_.d, kLanes<A>, i0, i1);
    b.o = kNarrow ? t_.scratch + at_.O + slot * kQueryRows * t_.d : t_.o + i0 * t_.ldo;
    b.ldo = kNarrow ? t_.d : t_.ldo;
    return b;
  }
  Block start_block(Index slot, Index i0, Index i1) const noexcept {
    const Block b = block_at(slot, i0, i1);
    kernels::start_block<A, E>(t_, b);
    if constexpr (kNarrow) {  // a block may see no key at all
      for (Index n = 0; n < b.rows * t_.d; ++n) b.o[n] = 0.0F;
    }
    return b;
  }
  void attend_tile(const Block& b, const KeyTile& tile) const noexcept {
    kernels::attend_tile<A, E>(t_, b, tile_, tile);
    if (tile.last) finish(b);
  }
  void divide_rows(const Block& b) const noexcept {
    kernels::divide_rows<A>(t_, b);
    finish(b);
  }

  void add_scores(const Block& b, Index slot, Index keys, const KeyTile& tile) const noexcept {
    tile_scores<A, E>(t_, b, tile_, scores(at_.S, slot) + keys * b.ld, tile);
  }
  void softmax(const Block& b, Index slot, Index keys) const noexcept {
    block_softmax<A, E>(b, scores(at_.S, slot), scores(at_.P, slot), keys);
  }
  void divide_sums(const Block& b) const noexcept { reciprocal_of_sums<A>(b); }
  void add_values(const Block& b, Index slot, Index keys, const KeyTile& tile) const noexcept {
    kernels::add_values<A, E>(t_, b, tile_, scores(at_.P, slot) + keys * b.ld, tile, Start::kept);
    if (tile.last) finish(b);
  }

  void multiply(int n, const Block& b, const KeyTile& tile) noexcept {
    woven_scores<A, E>(b, scores_of<A, E>(t_, b, part(n), tile), tile.bc, waiting_);
  }
  void begin_exponentials(int n, const Block& b, const KeyTile& tile) noexcept {
    waiting_ = kernels::begin_exponentials<A, E>(b, part(n).st, tile.bc);
  }
  void drain() noexcept { waiting_.drain(); }
  void add(int n, const Block& b, const KeyTile& tile) const noexcept {
    if (tile.last) reciprocal_of_sums<A>(b);
    kernels::add_values<A, E>(t_, b, part(n), part(n).st, tile, Start::scaled);
    if (tile.last) finish(b);
  }

 private:
  float* scores(Index at, Index slot) const noexcept {
    return t_.scratch + at + slot * score_elements(t_.Tk);
  }
  const TileScratch& part(int n) const noexcept { return n == 0 ? tile_ : second_; }

  /// O of a block is complete.
  void finish(const Block& b) const noexcept {
    if constexpr (kNarrow) {
      for (Index i = 0; i < b.rows; ++i) {
        for_each_vector<A>(
            t_.d, [&](Index n, Index lanes) __attribute__((always_inline)) {
              store_bf16_n<A>(t_.narrow + (b.i0 + i) * t_.ldn + n, lanes,
                              load_n<A>(b.o + i * b.ldo + n, lanes));
            });
      }
    }
  }

  const AttentionTask& t_;
  ScratchLayout at_;
  TileScratch tile_, second_{};
  Exponentials<A, E> waiting_{};
};

template <class A, class E>
void attention(const AttentionTask& t) noexcept {
  TESSERA_ASSERT(t.Tq >= 1 && t.Tk >= 0 && t.d >= 1 && t.d <= kMaxHeadDim);
  TESSERA_ASSERT(reinterpret_cast<std::uintptr_t>(t.scratch) % 64 == 0);
  TESSERA_ASSERT(t.d % E::kKR == 0 && t.ldq % E::kKR == 0 && t.ldk % E::kKR == 0);
  AttentionSteps<A, E> steps(t);
  walk_task(t, kLanes<A>, steps);
}

}  // namespace
}  // namespace tessera::kernels
