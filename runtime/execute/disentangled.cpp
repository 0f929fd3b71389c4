// SPDX-License-Identifier: Apache-2.0
//
// Few of the products with all rows are needed: from row to row of a tile the distances shift by one,
// so that MR rows of queries need those of Tk + MR − 1 distances, and MR keys those of Tq + MR − 1.
// A tile is multiplied with the panels that hold these rows, and read in diagonals:
//
//   C = Q_tile · keyᵀ      dense[i,j]  = scale·C[i, row(δ_ij)]        tile by tile of queries
//   C = K_tile · queryᵀ    dense[i,j] += scale·C[j, row(δ_ij)]        tile by tile of keys
#include "runtime/execute/disentangled.hpp"

#include <algorithm>

namespace tessera::execute {
namespace {

/// A tile C: products of a few rows with rows `first` … of the panels.
struct Tile {
  const float* c;  // (mr, ld)
  Index ld, first;
};

/// Of `count` rows at `a` with rows first … last.
Tile multiply(const DisentangledTask& t, const float* a, Index lda, Index count,
              const std::byte* panels, Index first, Index last) noexcept {
  const Index NR = t.gemm.NR, panel = t.gemm.panel_bytes(t.d);
  const Index p = first / NR, end = last / NR + 1;
  const Tile tile{t.tile, (end - p) * NR, p * NR};
  t.gemm.run({.a = a,
              .lda = lda,
              .b = panels + p * panel,
              .ldb = panel,
              .c = t.tile,
              .ldc = tile.ld,
              .mr = count,
              .nr = std::min(end * NR, t.rows) - tile.first,
              .kc = t.d,
              .resident = true});
  return tile;
}

/// row_of(i)[j] is the row of the distance between query i and key j.
template <class RowOf>
void key_terms(const DisentangledTask& t, const RowOf& row_of) noexcept {
  const Index Tk = t.Tk;
  const float scale = t.scale;
  for (Index i0 = 0; i0 < t.Tq; i0 += t.gemm.MR) {
    const Index i1 = std::min(t.Tq, i0 + t.gemm.MR);
    const Tile tile =
        multiply(t, t.q + i0 * t.ldq, t.ldq, i1 - i0, t.key, row_of(i0)[Tk - 1], row_of(i1 - 1)[0]);
    for (Index i = i0; i < i1; ++i) {
      const float* const c = tile.c + (i - i0) * tile.ld - tile.first;
      float* const dense = t.dense + i * t.ld_dense;
      const auto row = row_of(i);
      for (Index j = 0; j < Tk; ++j) dense[j] = scale * c[row[j]];
    }
  }
}

template <class RowOf>
void query_terms(const DisentangledTask& t, const RowOf& row_of) noexcept {
  const float scale = t.scale;
  const bool adds = t.key != nullptr;
  for (Index j0 = 0; j0 < t.Tk; j0 += t.gemm.MR) {
    const Index j1 = std::min(t.Tk, j0 + t.gemm.MR);
    const Tile tile = multiply(t, t.k + j0 * t.ldk, t.ldk, j1 - j0, t.query, row_of(0)[j1 - 1],
                               row_of(t.Tq - 1)[j0]);
    for (Index i = 0; i < t.Tq; ++i) {
      float* const dense = t.dense + i * t.ld_dense;
      const auto row = row_of(i);
      const float* c = tile.c - tile.first;
      for (Index j = j0; j < j1; ++j, c += tile.ld) {
        const float term = scale * c[row[j]];
        dense[j] = adds ? dense[j] + term : term;
      }
    }
  }
}

template <class RowOf>
void all_terms(const DisentangledTask& t, const RowOf& row_of) noexcept {
  const kernels::Entered entered(t.gemm);
  if (t.key != nullptr) key_terms(t, row_of);
  if (t.query != nullptr) query_terms(t, row_of);
}

/// The rows of one query's distances by columns, which have gaps.
struct ByColumns {
  const DisentangledTask& t;
  Index column;
  Index operator[](Index j) const noexcept {
    return t.row[std::clamp(column - t.k_columns[j], -t.reach, t.reach)];
  }
};

}  // namespace

void disentangled_bias(const DisentangledTask& t) noexcept {
  if (t.Tk == 0) return;
  if (t.q_columns != nullptr) {
    return all_terms(t, [&](Index i) { return ByColumns{t, t.q_columns[i]}; });
  }
  // Without gaps a row depends on j − i alone: all of the task, in the order of j.
  for (Index n = 0; n < t.Tq + t.Tk - 1; ++n) {
    t.rows_of_task[n] = t.row[std::clamp(t.q_begin + t.Tq - 1 - n, -t.reach, t.reach)];
  }
  all_terms(t, [rows = t.rows_of_task + t.Tq - 1](Index i) { return rows - i; });
}

}  // namespace tessera::execute
