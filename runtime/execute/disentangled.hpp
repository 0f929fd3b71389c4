// SPDX-License-Identifier: Apache-2.0
// What Disentangled adds to the scores of some queries of one head (program.hpp).
#pragma once

#include <numeric>

#include "kernels/kernel_table.hpp"

namespace tessera::execute {

/// dense[i,j] = scale·(q_i · key[δ] + k_j · query[δ]), δ = column of query i − column of key j.
///
/// The rows of `key` and `query` that stand for distances are panels of `gemm`, f32 or bf16, and q and k are
/// of its type; `row` points at the row of distance 0 and holds those of −reach … reach, rising; further ones
/// are as those at the end. An element depends on q_i, k_j and δ alone.
struct DisentangledTask {
  const kernels::KernelTable& kernels;
  const kernels::Gemm& gemm;
  const void* q;  // (Tq,d), row stride ldq
  Index ldq;
  const void* k;  // (Tk,d), row stride ldk
  Index ldk;
  const std::byte* key;    // ⌈rows/NR⌉ panels of (d,NR); null: no such term
  const std::byte* query;  // likewise
  Index rows, d;
  const std::int32_t* row;
  Index reach;
  Index Tq, Tk;
  float scale;
  Index q_begin;                  // the column of query 0, keys begin at 0; or
  const std::int32_t* q_columns;  // (Tq)
  const std::int32_t* k_columns;  // (Tk)
  float* tile;                    // MR · ⌈rows/NR⌉·NR floats
  float* picked;                  // (picked_keys,Tq), row stride disentangled_stride(Tq)
  std::int32_t* rows_of_task;     // (Tq + Tk − 1) falling, then as many rising
  float* dense;                   // (Tq,Tk), row stride ld_dense
  Index ld_dense;
};

/// A row of n elements of 4 bytes as whole cache lines, an odd number of them: what stands below one
/// another is then not in the same few sets of L1.
constexpr Index disentangled_stride(Index n) noexcept {
  return (n + 15) / 16 / 2 * 32 + 16;
}
/// Keys whose rows are picked before they are turned over: whole tiles, and whole vectors of 4 or 8.
constexpr Index picked_keys(const kernels::Gemm& gemm) noexcept {
  return gemm.MR < 8 ? std::lcm(gemm.MR, Index{8}) : gemm.MR;
}

/// Where a task's matrices lie in its scratch, in elements: whole cache lines.
struct DisentangledScratch {
  Index ld_dense, tile, picked, rows_of_task, end;  ///< `dense` comes first
};
constexpr DisentangledScratch disentangled_scratch(const kernels::Gemm& gemm, Index rows, Index Tq,
                                                   Index Tk) noexcept {
  const auto lines = [](Index n) { return (n + 15) / 16 * 16; };
  const Index ld = disentangled_stride(Tk), tile = Tq * ld;
  const Index picked = tile + lines(gemm.MR * ((rows + gemm.NR - 1) / gemm.NR * gemm.NR));
  const Index ints = picked + picked_keys(gemm) * disentangled_stride(Tq);
  return {ld, tile, picked, ints, ints + lines(2 * (Tq + Tk))};
}

void disentangled_bias(const DisentangledTask& t) noexcept;

}  // namespace tessera::execute
