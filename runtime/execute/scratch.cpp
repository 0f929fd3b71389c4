// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "runtime/execute/disentangled.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/execute/tile_ops.hpp"
#include "runtime/plan/convolution.hpp"
#include "runtime/plan/experts.hpp"
#include "runtime/plan/gathered.hpp"
#include "runtime/plan/patches.hpp"
#include "runtime/plan/pooled_linear.hpp"

namespace tessera::execute {
namespace {

/// The sums of a panel between chunks of K, or the products of a group of panels, over all ranges of rows, in
/// floats.
Index linear_elements(const Program& program, std::size_t i, Index tile_ops,
                      std::span<const NestRange> nests, const kernels::KernelTable& kernels,
                      Index max_rows, Index max_sequences) {
  const LinearOp& op = *std::get_if<LinearOp>(&program.ops[i]);
  const Index most_of_out = most_rows(program, op.out, max_rows, max_sequences);
  const bool c_is_no_place =
      program.values[at(op.out)].type == DType::bf16 || (op.residual != kNone && !op.norm);
  const kernels::Gemm& gemm = kernels.gemm[program.parameters[at(op.weight)].precision];
  const TileGroup group = tile_group(program, i, tile_ops, gemm.NR);
  Index most = 0;
  for (const NestRange& range : nests) {
    const Index rows = std::min(range.last_rows, most_of_out);
    const Index tiles = ceil_div(ceil_div(rows, gemm.MR), std::min(rows, range.nest.row_blocks));
    most = std::max(most, apart_elements(group, range.nest, tiles * gemm.MR, gemm.MR, gemm.NR));
    if (keeps_sums(c_is_no_place, range.nest)) most = std::max(most, tiles * gemm.MR * gemm.NR);
  }
  const Index usual = ceil_div(std::min(kApartRows, most_of_out), gemm.MR) * gemm.MR;
  most = std::max(most, apart_elements(group, {}, usual, gemm.MR, gemm.NR));
  return TileOps::turn_elements(program, i, tile_ops) + most;
}

/// The bias of a task of Tq queries and Tk keys, before the kernel's own scratch.
Index bias_elements(const Program& program, const AttentionOp& op,
                    const kernels::KernelTable& kernels, Index Tq, Index Tk) {
  const auto* terms = std::get_if<Disentangled>(&op.position);
  if (terms == nullptr) return 0;
  const ParameterId id = terms->key == kNone ? terms->query : terms->key;
  return disentangled_scratch(kernels.gemm[op.precision], program.parameters[at(id)].rows, Tq, Tk)
      .end;
}

}  // namespace

Index scratch_elements(const Program& program, std::span<const OpSchedule> schedule,
                       const kernels::KernelTable& kernels, Index max_rows, Index max_sequences,
                       int threads, bool holds_columns) {
  Index most = 0;
  const auto gathers = [&](ParameterId id, Index rows) {
    const Parameter& weight = program.parameters[at(id)];
    most = std::max(most, gathered_elements(weight.precision, weight.cols, rows,
                                            kernels.gemm[weight.precision].rows_read));
  };
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const Op& op = program.ops[i];
    if (const auto* attention = std::get_if<AttentionOp>(&op)) {
      const kernels::Attention& kernel = kernels.attention[attention->precision];
      // Queries of another space than the keys' may be more than the keys of the longest sequence.
      const bool is_self = program.values[at(attention->q.value)].space ==
                           program.values[at(attention->k.value)].space;
      const Index queries =
          is_self ? 0 : most_rows(program, attention->q.value, max_rows, max_sequences);
      const Index longest =
          longest_piece(program, program.values[at(attention->k.value)].space, max_rows);
      Index first = 1;
      for (const AttentionRange& range : schedule[i].attention) {
        if (first > longest) break;
        const Index T = std::min(range.last_rows, longest);
        const Index rows = std::max(range.task_rows, kernel.Br);
        const Index Tq = std::min(rows, std::max(T, queries));
        most = std::max(most, kernel.scratch_elements(range.dataflow, Tq, T, attention->head_dim) +
                                  bias_elements(program, *attention, kernels, Tq, T));
        first = range.last_rows + 1;
      }
    } else if (const auto* norm = std::get_if<LayerNormOp>(&op)) {
      const Value& out = program.values[at(norm->out)];
      if (out.type != DType::f32)
        most = std::max(most, activation_stride(out.width));  // a row of it
    } else if (const auto* rotate = std::get_if<RotateOp>(&op)) {
      most = std::max(most, rotate->head_dim);  // a row of cosines and sines
    } else if (const auto* patches = std::get_if<PatchEmbedOp>(&op)) {
      gathers(patches->weight, schedule[i].patch_rows);
    } else if (const auto* convolution = std::get_if<ConvolutionOp>(&op)) {
      gathers(convolution->weight, std::min(kConvolutionRows, max_rows));
    } else if (const auto* grid = std::get_if<GridConvolutionOp>(&op)) {
      gathers(grid->weight,
              std::min(kConvolutionRows, most_rows(program, grid->out, max_rows, max_sequences)));
    } else if (const auto* pool = std::get_if<PoolOp>(&op)) {
      if (pool->pooling == Pooling::weighted_mean) most = std::max(most, max_rows);  // its weights
    } else if (const auto* by_id = std::get_if<LargestByIdOp>(&op)) {
      if (by_id->top > 0) most = std::max(most, 2 * max_rows);  // ids and weights
    } else if (const auto* pooled = std::get_if<PooledLinearOp>(&op)) {
      const Parameter& weight = program.parameters[at(pooled->weight)];
      const kernels::Gemm& gemm = kernels.gemm[weight.precision];
      const Index rows = most_rows(program, pooled->in, max_rows, max_sequences);
      const TopRows heaps{most_rows(program, pooled->out, max_rows, max_sequences),
                          holds_columns ? 0 : pooled->top};
      if (holds_columns) most = std::max(most, ceil_div(2 * pooled->top, threads));  // of them all
      for (const NestRange& range : schedule[i].nests) {
        const LinearShape shape{
            .M = std::min(range.last_rows, rows), .N = weight.rows, .K = weight.cols};
        most = std::max(most, pooled_linear_scratch(shape, range.nest, gemm.MR, gemm.NR,
                                                    takes_whole_tiles(gemm), heaps));
        if (range.last_rows >= rows) break;
      }
    } else if (const auto* mixture = std::get_if<ExpertsOp>(&op)) {
      const Index rows = most_rows(program, mixture->in, max_rows, max_sequences);
      const ExpertShape shape = expert_shape(program, *mixture);
      most = std::max(most, expert_scratch(shape, program.values[at(mixture->in)].type, rows,
                                           kernels.gemm[shape.precision].rows_read)
                                .end);
    } else if (std::holds_alternative<LinearOp>(op)) {
      for (const auto* nests : {&schedule[i].nests, &schedule[i].block_nests}) {
        most = std::max(most, linear_elements(program, i, schedule[i].tile_ops, *nests, kernels,
                                              max_rows, max_sequences));
      }
    }
  }
  return (most + 31) / 32 * 32;
}

}  // namespace tessera::execute
