// SPDX-License-Identifier: Apache-2.0
//
// The ops in the tiles of a linear (plan/tile_ops.hpp), on the products of one group of panels.
#pragma once

#include "runtime/execute/execute.hpp"
#include "runtime/execute/gemm.hpp"

namespace tessera::execute {

/// Those of linear `i`, for one run of it.
class TileOps {
 public:
  TileOps(const Context& context, std::size_t i) noexcept;

  /// For one worker, with its scratch: a row of cosines and sines, then GroupOps::apart.
  struct OfWorker {
    const TileOps& ops;
    float* scratch;
    /// Has `o` run them; this must outlive its use.
    void put_behind(GemmOperands& o) const noexcept;
  };

  /// Floats of scratch before GroupOps::apart.
  static Index turn_elements(const Program& program, std::size_t i, Index tile_ops) noexcept;

 private:
  void run(const GroupProducts& products, float* beyond) const noexcept;
  void turn(const GroupProducts& products, float* beyond) const noexcept;

  const Context& context_;
  const RotateOp* rotate_ = nullptr;
  const GatedOp* gated_ = nullptr;
  ValueId out_ = kNone;  // of the last op
  bool is_apart_ = false;
  Index turn_elements_ = 0;
};

/// The heads of op.q and op.k that columns [first, end) of a row hold: normalised and turned in place. `x`
/// is column `first`.
void turn_heads(const Context& context, const RotateOp& op, const Turn& turn, Range columns,
                float* x) noexcept;
/// What row `i` of the batch turns by; nothing where the op only normalises. `beyond`: room for a row of
/// cosines and sines.
Turn turn_of_row(const Context& context, const RotateOp& op, Index i, float* beyond) noexcept;

}  // namespace tessera::execute
