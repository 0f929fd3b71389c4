// SPDX-License-Identifier: Apache-2.0
// What stands behind the Model and Session interfaces; for runtime/ alone.
#pragma once

#include "runtime/arena.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/session.hpp"
#include "runtime/threads.hpp"
#include "runtime/weights/packed_weights.hpp"

namespace tessera {

class LoadedModel final : public Model {
 public:
  LoadedModel(Program program, std::shared_ptr<const Checkpoint> checkpoint, Isa isa);

  const Program& program() const noexcept override { return program_; }
  Isa isa() const noexcept override { return isa_; }
  std::size_t packed_bytes() const noexcept override { return weights_.packed_bytes(); }
  std::size_t mapped_bytes() const noexcept override { return weights_.mapped_bytes(); }
  std::size_t parameter_count() const noexcept override { return weights_.parameter_count(); }
  const PackedWeights& weights() const noexcept { return weights_; }

 private:
  Isa isa_;
  Program program_;
  PackedWeights weights_;
};

/// The block that a session allocates: values, scratch per worker, index arrays.
struct SessionLayout {
  MemoryPlan values;
  Index scratch_stride = 0;                                              ///< floats per worker
  std::size_t scratch = 0, positions = 0, block_begin = 0, offsets = 0;  ///< byte offsets
  std::size_t bytes = 0;
};

/// Checks everything that run() relies on. Throws Error{invalid_argument} naming argument, got,
/// expected.
void check_batch(const Program& program, const SessionOptions& options, const Batch& batch);

}  // namespace tessera
