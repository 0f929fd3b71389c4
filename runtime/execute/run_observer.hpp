// SPDX-License-Identifier: Apache-2.0
// Somebody who is told where the ops of a run begin and end.
#pragma once

#include <cstddef>

namespace tessera {

/// Called on the thread that called Session::run(), between ops: no worker is busy then. None of
/// the calls may throw or allocate.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void begin_run() noexcept {}
  /// Ops [op, op + count) of Session::program() are next. In a chain (plan/chain.hpp) on one thread they
  /// come one by one, again for every block of rows; on several as one, count ops. A linear comes with the ops
  /// in its tiles (plan/tile_ops.hpp).
  virtual void begin_ops(std::size_t op, std::size_t count) noexcept = 0;
  virtual void end_ops(std::size_t op, std::size_t count) noexcept = 0;
  virtual void end_run() noexcept {}
};

}  // namespace tessera
