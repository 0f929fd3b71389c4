// SPDX-License-Identifier: Apache-2.0
//
// What is added to the scores of a unit: biases, and −inf for what the mask or the end of the keys
// hides.
//
//   S = c·S + log₂e·bias    in place, where there is something to add; else S stays as the product left
//                           it, and c is for the exponentials to multiply with
//
// Without columns and dense bias the bias depends on the difference r of key and query alone: a window
// of values by rising r, in which every row begins one further down.
#pragma once

#include "kernels/attention/tile.inl.hpp"
#include "kernels/attention/tiles_steps.hpp"

namespace tessera::kernels {
namespace {

/// Values by difference of a block against a tile of keys: window[n] is of the last row, key n of the
/// tile; of row i, key j: n = rows − 1 − i + j.
TESSERA_INLINE void set_window(const AttentionTask& t, const TilesBlock& b, const KeyTile& tile,
                               float* window) noexcept {
  if (!has_start(t, tile) || !is_by_difference(t)) return;
  const Index first = tile.j0 - (t.q_begin + b.i0) - (b.rows - 1), n = tile.bc + b.rows - 1;
  const bool biased = is_biased(t);
  for (Index i = 0; i < n; ++i) {
    const bool visible = tile.full || is_visible(t.mask, first + i);
    window[i] = !visible ? -kInf : biased ? bias_at(t, first + i) : 0.0F;
  }
  for (Index i = n; i < n + kUnitKeys; ++i) window[i] = 0.0F;
}

/// What is added to row i of the task, keys [j0, j0+keys), looked up one by one.
TESSERA_INLINE void look_up(const AttentionTask& t, Index i, Index j0, Index keys, bool full,
                            float* to) noexcept {
  const Index q = t.q_begin + i, q_column = t.q_columns == nullptr ? q : t.q_columns[i];
  const float* dense = t.dense == nullptr ? nullptr : t.dense + i * t.ld_dense + j0;
  const bool biased = is_biased(t);
  for (Index j = 0; j < keys; ++j) to[j] = dense == nullptr ? 0.0F : kLog2E * dense[j];
  for (Index j = 0; biased && j < keys; ++j) {
    const Index k_column = t.k_columns == nullptr ? j0 + j : t.k_columns[j0 + j];
    to[j] += bias_at(t, k_column - q_column);
  }
  for (Index j = 0; !full && j < keys; ++j) {
    if (!is_visible(t.mask, j0 + j - q)) to[j] = -kInf;
  }
}

/// Unit s (rows, 64) of a strip and keys [j0, j0+keys) of the tile, of which 32-key halves are there.
/// Returns what the scores are still to be multiplied with: c = scale·log₂e, or 1; 1 if `always`.
template <class A>
float start_unit(const AttentionTask& t, const TilesBlock& b, const Strip& strip,
                 const KeyTile& tile, Index j0, Index keys, const float* window, float* s,
                 bool always) noexcept {
  constexpr Index V = kLanes<A>;
  const Index columns = round_up(keys, 32);
  const float c = t.scale * kLog2E;
  const bool adds = has_start(t, tile), by_difference = is_by_difference(t);
  if (!adds && keys == columns && !always) return c;
  float looked_up[static_cast<std::size_t>(kUnitKeys)];
  for (Index i = 0; i < strip.rows; ++i) {
    float* row = s + i * kUnitKeys;
    const float* add = looked_up;
    if (adds && by_difference) {
      add = window + (b.rows - 1 - (strip.i0 - b.i0 + i)) + (j0 - tile.j0);
    } else if (adds) {
      look_up(t, strip.i0 + i, j0, keys, tile.full, looked_up);
      for (Index j = keys; j < columns; ++j) looked_up[j] = 0.0F;
    }
    for (Index j = 0; j < columns; j += V) {
      const F32<A> from = adds ? load<A>(add + j) : splat<A>(0.0F);
      store<A>(row + j, mul_add<A>(splat<A>(c), load<A>(row + j), from));
    }
    for (Index j = keys; j < columns; ++j) row[j] = -kInf;
  }
  return 1.0F;
}

}  // namespace
}  // namespace tessera::kernels
