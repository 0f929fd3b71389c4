// SPDX-License-Identifier: Apache-2.0
//
// Few of the products with all rows are needed: from row to row of a tile the distances shift by one,
// so that MR rows of queries need those of Tk + MR − 1 distances, and MR keys those of Tq + MR − 1.
// A tile is multiplied with the panels that hold these rows, and read in diagonals:
//
//   C = Q_tile · keyᵀ      dense[i,j]  = scale·C[i, row(δ_ij)]        tile by tile of queries
//   C = K_tile · queryᵀ    dense[i,j] += scale·C[j, row(δ_ij)]        tile by tile of keys
//
// The row of a distance moves by 0 or 1 from one distance to the next: KernelTable::pick() reads V of them
// in one load. Those of a key are a column of dense: they are picked as a row and turned over.
#include "runtime/execute/disentangled.hpp"

#include <algorithm>

#include "runtime/plan/loop_nest.hpp"

namespace tessera::execute {
namespace {

/// A tile C: products of a few rows with rows `first` … of the panels.
struct Tile {
  const float* c;  // (mr, ld)
  Index ld, first;

  /// Row i, of which element `row` is the product with that row of the panels.
  const float* by_row(Index i) const noexcept { return c + i * ld - first; }
  Index end() const noexcept { return first + ld; }
};

/// Of rows [rows.begin, rows.end) of `a` with rows first … last.
Tile multiply(const DisentangledTask& t, const void* a, Index lda, Range rows,
              const std::byte* panels, Index first, Index last) noexcept {
  const kernels::Gemm& gemm = t.gemm;
  const Index NR = gemm.NR, panel = gemm.panel_bytes(t.d);
  const Index p = first / NR, end = last / NR + 1;
  const Tile tile{t.tile, (end - p) * NR, p * NR};
  gemm.run({.a = static_cast<const std::byte*>(a) + rows.begin * lda * gemm.bits.a / 8,
            .lda = lda,
            .b = panels + p * panel,
            .ldb = panel,
            .c = t.tile,
            .ldc = tile.ld,
            .mr = rows.size(),
            .nr = std::min(end * NR, t.rows) - tile.first,
            .kc = t.d,
            .resident = true});
  return tile;
}

/// Distances of columns without gaps: a row of the panels depends on j − i alone.
struct ByRows {
  const DisentangledTask& t;
  const std::int32_t* falling;  // at Tq − 1 − i + j
  const std::int32_t* rising;   // at Tk − 1 − j + i

  Index row(Index i, Index j) const noexcept { return falling[t.Tq - 1 - i + j]; }
  void pick_keys(const Tile& tile, Index i, Index i0) const noexcept {
    t.kernels.pick({.x = tile.by_row(i - i0),
                    .end = tile.end(),
                    .index = falling + t.Tq - 1 - i,
                    .n = t.Tk,
                    .scale = t.scale,
                    .y = t.dense + i * t.ld_dense});
  }
  void pick_queries(const Tile& tile, Index j, Index j0, float* y) const noexcept {
    t.kernels.pick({.x = tile.by_row(j - j0),
                    .end = tile.end(),
                    .index = rising + t.Tk - 1 - j,
                    .n = t.Tq,
                    .scale = t.scale,
                    .y = y});
  }
};

/// Of columns that have gaps, one by one.
struct ByColumns {
  const DisentangledTask& t;

  Index row(Index i, Index j) const noexcept {
    return t.row[std::clamp<Index>(t.q_columns[i] - t.k_columns[j], -t.reach, t.reach)];
  }
  void pick_keys(const Tile& tile, Index i, Index i0) const noexcept {
    const float* const c = tile.by_row(i - i0);
    for (Index j = 0; j < t.Tk; ++j) t.dense[i * t.ld_dense + j] = t.scale * c[row(i, j)];
  }
  void pick_queries(const Tile& tile, Index j, Index j0, float* y) const noexcept {
    const float* const c = tile.by_row(j - j0);
    for (Index i = 0; i < t.Tq; ++i) y[i] = t.scale * c[row(i, j)];
  }
};

template <class Distances>
void key_terms(const DisentangledTask& t, const Distances& distances) noexcept {
  const Index MR = t.gemm.MR;
  for (Index i0 = 0; i0 < t.Tq; i0 += MR) {
    const Index i1 = std::min(t.Tq, i0 + MR);
    const Tile tile = multiply(t, t.q, t.ldq, {i0, i1}, t.key, distances.row(i0, t.Tk - 1),
                               distances.row(i1 - 1, 0));
    for (Index i = i0; i < i1; ++i) distances.pick_keys(tile, i, i0);
  }
}

template <class Distances>
void query_terms(const DisentangledTask& t, const Distances& distances) noexcept {
  const kernels::Gemm& gemm = t.gemm;
  const Index ld = disentangled_stride(t.Tq), keys = picked_keys(gemm);
  for (Index first = 0; first < t.Tk; first += keys) {
    const Index last = std::min(t.Tk, first + keys);
    for (Index j0 = first; j0 < last; j0 += gemm.MR) {
      const Index j1 = std::min(last, j0 + gemm.MR);
      const Tile tile = multiply(t, t.k, t.ldk, {j0, j1}, t.query, distances.row(0, j1 - 1),
                                 distances.row(t.Tq - 1, j0));
      for (Index j = j0; j < j1; ++j) {
        distances.pick_queries(tile, j, j0, t.picked + (j - first) * ld);
      }
    }
    t.kernels.add_transposed(t.picked, ld, t.dense + first, t.ld_dense, t.Tq, last - first,
                             t.key != nullptr);
  }
}

template <class Distances>
void all_terms(const DisentangledTask& t, const Distances& distances) noexcept {
  const kernels::Entered entered(t.gemm);
  if (t.key != nullptr) key_terms(t, distances);
  if (t.query != nullptr) query_terms(t, distances);
}

}  // namespace

void disentangled_bias(const DisentangledTask& t) noexcept {
  if (t.Tk == 0) return;
  if (t.q_columns != nullptr) return all_terms(t, ByColumns{t});
  const Index count = t.Tq + t.Tk - 1;
  std::int32_t *const falling = t.rows_of_task, *const rising = falling + count;
  for (Index n = 0; n < count; ++n) {
    falling[n] = t.row[std::clamp(t.q_begin + t.Tq - 1 - n, -t.reach, t.reach)];
  }
  std::reverse_copy(falling, falling + count, rising);
  all_terms(t, ByRows{t, falling, rising});
}

}  // namespace tessera::execute
