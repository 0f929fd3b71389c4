// SPDX-License-Identifier: Apache-2.0
// One function per op: walks its plan over kernels. No allocation, no exception, no lock:
// everything was checked before the first op ran.
#pragma once

#include <algorithm>
#include <span>

#include "kernels/kernel_table.hpp"
#include "runtime/base/tensor_view.hpp"
#include "runtime/execute/rotation_table.hpp"
#include "runtime/plan/attention_layout.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/plan/plan.hpp"
#include "runtime/program/image.hpp"
#include "runtime/program/program.hpp"
#include "runtime/threads/threads.hpp"
#include "runtime/weights/packed_weights.hpp"

namespace tessera {
class RunObserver;
}

namespace tessera::execute {

class OneDnnWeights;

/// What a worker runs blocks of a chain with: the arrays behind a Context of its own.
struct BlockSpace {
  std::span<std::byte*> places;         ///< one per value
  std::span<Cuts> cuts;                 ///< one per space; those of the tokens are set
  std::int32_t *offsets, *block_begin;  ///< (most sequences of a block + 1)
  std::byte* memory;  ///< of the values that live in a block, at MemorySlot::in_block
};

/// What a run hands to every op.
struct Context {
  const Program& program;
  const PackedWeights& weights;
  const kernels::KernelTable& kernels;
  Team workers;
  std::span<std::byte* const> places;        ///< one per value: its first row
  std::span<const MemorySlot> slots;         ///< one per value
  std::span<const OpSchedule> schedule;      ///< one per op
  std::span<const ParameterId> next_weight;  ///< one per op: the matrix that is read after it
  std::span<const ByHeads> by_heads;         ///< one per value
  std::span<const RotationTable> rotations;  ///< one per Program::rotations
  bool weights_stay_in_l3;
  OneDnnWeights* onednn;  ///< null: no op uses it
  float* scratch;         ///< workers.count() pieces of scratch_stride floats
  Index scratch_stride;
  bool holds_columns;                        ///< plan_memory() was told so
  std::int32_t* block_begin;                 ///< (S+1) first attention block of each sequence
  std::span<const BlockSpace> block_spaces;  ///< one per worker
  bool in_block = false;                     ///< of a chain
  std::span<std::int32_t> query_blocks{};    ///< room for their first rows, where a chain has such
  /// In a block of queries (plan/chain.hpp): the batch, whose keys they see, and the block's rows of it.
  const Context* batch = nullptr;
  Range rows_of_batch{0, 0};
  Index chain_rows = 0;  ///< Chain::block_rows

  // The batch of this run.
  std::span<const Cuts> cuts;      ///< one per space
  Index rows, sequences, longest;  ///< of the tokens
  std::span<const std::int32_t> ids, types, positions, columns, offsets, query_only, pool_from;
  std::span<const Image> images;
  std::span<const std::int32_t>
      lengths{};  ///< of each row's sequence, where a rotation has a limit

  TensorView<float> value(ValueId id) const noexcept { return view<float>(id); }
  /// The same of a value of DType::bf16.
  TensorView<std::uint16_t> narrow_value(ValueId id) const noexcept {
    return view<std::uint16_t>(id);
  }
  /// Elements from row to row of a value of any type, whose rows begin at places[at(id)].
  Index stride(ValueId id) const noexcept {
    const Value& value = program.values[at(id)];
    return activation_stride(value.width, value.type);
  }
  bool is_narrow(ValueId id) const noexcept { return program.values[at(id)].type == DType::bf16; }
  template <class T>
  TensorView<T> view(ValueId id) const noexcept {
    const Value& value = program.values[at(id)];
    return {.data = reinterpret_cast<T*>(places[at(id)]),
            .rows = cuts[at(value.space)].rows,
            .cols = value.width,
            .stride = stride(id)};
  }
  /// The first row of sequence s that poolings read (Batch::pool_from).
  Index first_pooled_row(Index s) const noexcept {
    return pool_from.empty() ? 0 : pool_from[static_cast<std::size_t>(s)];
  }
  /// Leading rows of sequence s that are queries but not keys (Batch::query_only).
  Index query_only_rows(Index s) const noexcept {
    return query_only.empty() ? 0 : query_only[static_cast<std::size_t>(s)];
  }
};

/// The rows of sequence s in a space whose pieces the sequences are.
inline Range rows_of_sequence(const Context& context, SpaceId space, Index s) noexcept {
  const auto i = static_cast<std::size_t>(s);
  const std::span<const std::int32_t> offsets = context.cuts[at(space)].offsets;
  return {offsets[i], offsets[i + 1]};
}

/// Rows of sequence s that poolings read: without those that no row attends to, and those before
/// Batch::pool_from. May be empty.
inline Range pooled_rows(const Context& context, Index s) noexcept {
  const auto i = static_cast<std::size_t>(s);
  const Index skip = std::max(context.query_only_rows(s), context.first_pooled_row(s));
  const Index end = context.offsets[i + 1];
  return {std::min<Index>(context.offsets[i] + skip, end), end};
}

/// The sequence that block `block` belongs to: block_begin[s] ≤ block < block_begin[s+1].
inline Index sequence_of(std::span<const std::int32_t> block_begin, Index block) noexcept {
  const auto after = std::upper_bound(block_begin.begin(), block_begin.end(), block);
  return after - block_begin.begin() - 1;
}

/// Most query rows of a block of attention to T keys, in a chain of blocks of `chain_rows` rows. Where keys
/// are hidden bits may depend on it (AttentionTask): there it is the plan's.
Index query_rows(const AttentionOp& op, const OpSchedule& schedule,
                 const kernels::Attention& kernel, Index T, Index chain_rows) noexcept;

/// Floats of scratch that one of `threads` workers needs for any op of `program`, a multiple of 32 (128
/// bytes). `holds_columns`: as plan_memory().
Index scratch_elements(const Program& program, std::span<const OpSchedule> schedule,
                       const kernels::KernelTable& kernels, Index max_rows, Index max_sequences,
                       int threads = 1, bool holds_columns = false);

void run(const Context& context, const EmbeddingOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const PatchEmbedOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const BroadcastOp& op) noexcept;
/// Op `i`, a linear, in the nest that the schedule has for its rows.
void run_linear(const Context& context, std::size_t i) noexcept;
/// Op `i` alone, with the ops in its tiles.
void run_op(const Context& context, std::size_t i) noexcept;
/// Whether a chain begins with op `i` at this number of rows.
bool begins_chain(const Context& context, std::size_t i) noexcept;
/// How many ops run together from op `i` on at this number of rows: those of its chain, or itself with the
/// ops in its tiles.
std::size_t ops_together(const Context& context, std::size_t i) noexcept;
/// The chain at op `i`. `observer`, or null, is told of its ops, once a block, where there is one
/// worker; of the chain as a whole where there are several.
void run_chain(const Context& context, std::size_t i, RunObserver* observer) noexcept;
void run(const Context& context, const PooledLinearOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const ExpertsOp& op) noexcept;
void run(const Context& context, const AttentionOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const LayerNormOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const RotateOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const ActivationOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const NarrowOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const GatedOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const AddOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const PoolOp& op) noexcept;
void run(const Context& context, const LargestByIdOp& op) noexcept;
void run(const Context& context, const TopColumnsOp& op) noexcept;
void run(const Context& context, const L2NormalizeOp& op, const OpSchedule& schedule) noexcept;
void run(const Context& context, const ConcatOp& op) noexcept;
void run(const Context& context, const MaskRowsOp& op) noexcept;
void run(const Context& context, const ConvolutionOp& op) noexcept;
void run(const Context& context, const WindowRowsOp& op) noexcept;
void run(const Context& context, const MergeCellsOp& op) noexcept;
void run(const Context& context, const GridConvolutionOp& op) noexcept;
void run(const Context& context, const DepthwiseOp& op) noexcept;
void run(const Context& context, const ScaleRowsOp& op) noexcept;

}  // namespace tessera::execute
