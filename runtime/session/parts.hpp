// SPDX-License-Identifier: Apache-2.0
// What stands behind the Model and Session interfaces; for runtime/ alone.
#pragma once

#include "runtime/base/arena.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/session/rotations.hpp"
#include "runtime/session/session.hpp"
#include "runtime/threads/threads.hpp"
#include "runtime/weights/packed_weights.hpp"

namespace tessera {

class LoadedModel final : public Model {
 public:
  LoadedModel(Program program, std::shared_ptr<const Checkpoint> checkpoint,
              const kernels::KernelTable& kernels, const WeightOptions& options);

  const Program& program() const noexcept override { return program_; }
  Isa isa() const noexcept override { return kernels_.isa; }
  const kernels::KernelTable& kernels() const noexcept { return kernels_; }
  std::size_t packed_bytes() const noexcept override { return weights_.packed_bytes(); }
  std::size_t mapped_bytes() const noexcept override { return weights_.mapped_bytes(); }
  std::size_t parameter_count() const noexcept override { return weights_.parameter_count(); }
  const PackedWeights& weights() const noexcept { return weights_; }

 private:
  const kernels::KernelTable& kernels_;
  Program program_;
  PackedWeights weights_;
};

/// What a session allocates: values, blocks of chains and scratch per worker, index arrays.
struct SessionLayout {
  MemoryPlan values;
  bool holds_columns = false;  ///< as plan_memory(); where the arena is smaller so
  Index scratch_stride = 0;    ///< floats per worker
  std::size_t scratch = 0, positions = 0, block_begin = 0, offsets = 0;  ///< byte offsets
  std::size_t lengths = 0;  ///< bytes; 0: no rotation asks how long sequences are
  struct SpaceCuts {
    std::size_t offset = 0;             // bytes
    Index pieces = 0;                   // at most
    std::size_t grids = 0, places = 0;  // bytes; where the space has such
  };
  std::vector<SpaceCuts> cuts{};  ///< by space; the caller has those of the tokens
  RotationLayout rotations{};
  std::size_t blocks = 0,
              block_stride = 0;  ///< bytes: of the first worker's block, to the next one's
  /// Two arrays of this many integers per worker, for the sequences of a block.
  std::size_t block_sequences = 0, block_integers = 0;
  std::size_t query_blocks = 0, most_query_blocks = 0;  ///< bytes; first rows, one more than blocks
  std::size_t bytes = 0;
};

/// The program that Model::create() packs: pruned to the outputs asked for, fused, checked.
Program model_program(const Program& program, const ModelOptions& options);

/// `options` checked, with threads and rates filled in.
SessionOptions resolve(SessionOptions options, Isa isa);
/// `options`, resolved, with least_memory set: as the plan that is given was made, or where `weights` bytes and
/// the arena are beyond the cap otherwise.
SessionOptions with_memory_choice(SessionOptions options, const Program& program, Isa isa,
                                  std::size_t weights);
/// Bytes of the arena of a session of `program`, a model's, and of oneDNN's copies of weights; `options` with
/// the choice.
std::size_t arena_bytes(const Program& program, Isa isa, const SessionOptions& options);
/// Of `kept` and its plan: of session_program(), plan_of().
std::size_t arena_bytes(const Program& kept, const Plan& plan, Isa isa,
                        const SessionOptions& options);
/// What a session computes of a model's program.
Program session_program(const Program& program, Isa isa, const SessionOptions& options);
PlanInput plan_input(const Program& program, Isa isa, const SessionOptions& options);
/// The caller's plan, checked, or a new one.
std::shared_ptr<const Plan> plan_of(const Program& program, Isa isa, const SessionOptions& options);
SessionLayout lay_out(const Program& program, const SessionOptions& options,
                      std::span<const OpSchedule> schedule, const kernels::KernelTable& kernels);
/// `layout` if weights and arena are within options.memory_cap_bytes. Throws Error{out_of_memory}.
SessionLayout within_cap(SessionLayout layout, const Model& model, const SessionOptions& options);

/// Checks everything that run() relies on. Throws Error{invalid_argument} naming argument, got,
/// expected.
void check_batch(const Program& program, const SessionOptions& options, const Batch& batch);

}  // namespace tessera
