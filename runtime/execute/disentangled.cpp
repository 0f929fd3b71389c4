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

Index q_column(const DisentangledTask& t, Index i) noexcept {
  return t.q_columns == nullptr ? t.q_begin + i : t.q_columns[i];
}
Index k_column(const DisentangledTask& t, Index j) noexcept {
  return t.k_columns == nullptr ? j : t.k_columns[j];
}
Index row_of(const DisentangledTask& t, Index distance) noexcept {
  return t.row[std::clamp(distance, -t.reach, t.reach)];
}
Index row_of(const DisentangledTask& t, Index i, Index j) noexcept {
  return row_of(t, q_column(t, i) - k_column(t, j));
}

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

void key_terms(const DisentangledTask& t) noexcept {
  for (Index i0 = 0; i0 < t.Tq; i0 += t.gemm.MR) {
    const Index i1 = std::min(t.Tq, i0 + t.gemm.MR);
    const Tile tile = multiply(t, t.q + i0 * t.ldq, t.ldq, i1 - i0, t.key, row_of(t, i0, t.Tk - 1),
                               row_of(t, i1 - 1, 0));
    for (Index i = i0; i < i1; ++i) {
      const float* const c = tile.c + (i - i0) * tile.ld - tile.first;
      float* const dense = t.dense + i * t.ld_dense;
      for (Index j = 0; j < t.Tk; ++j) dense[j] = t.scale * c[row_of(t, i, j)];
    }
  }
}

void query_terms(const DisentangledTask& t) noexcept {
  for (Index j0 = 0; j0 < t.Tk; j0 += t.gemm.MR) {
    const Index j1 = std::min(t.Tk, j0 + t.gemm.MR);
    const Tile tile = multiply(t, t.k + j0 * t.ldk, t.ldk, j1 - j0, t.query, row_of(t, 0, j1 - 1),
                               row_of(t, t.Tq - 1, j0));
    for (Index i = 0; i < t.Tq; ++i) {
      float* const dense = t.dense + i * t.ld_dense;
      for (Index j = j0; j < j1; ++j) {
        const float term = t.scale * tile.c[(j - j0) * tile.ld + row_of(t, i, j) - tile.first];
        dense[j] = t.key == nullptr ? term : dense[j] + term;
      }
    }
  }
}

}  // namespace

void disentangled_bias(const DisentangledTask& t) noexcept {
  if (t.Tk == 0) return;
  const kernels::Entered entered(t.gemm);
  if (t.key != nullptr) key_terms(t);
  if (t.query != nullptr) query_terms(t);
}

}  // namespace tessera::execute
