// SPDX-License-Identifier: Apache-2.0
//
// The meter `replay`: the session's own walk, on its own plan, arena and packed weights, with
// kernels that touch a CacheSimulator instead of computing (replay_kernels.hpp). One thread. Any
// ISA level, on any CPU; the outputs of such a session mean nothing.
//
// A fill belongs to the op that runs. A line that goes back belongs to the op that changed it last,
// whenever it leaves: in the second of equal runs, what the first one left behind comes to what
// this one leaves.
#pragma once

#include <span>
#include <vector>

#include "runtime/machine/machine.hpp"
#include "runtime/meters/cache_simulator.hpp"
#include "runtime/meters/meter.hpp"

namespace tessera::meters {

/// The caches of `machine` from L1 on; 8 ways where they are unknown.
std::vector<SimulatedCache> simulated_caches(const Machine& machine);

/// For a session of a model with ModelOptions::kernels = &replay_kernels(isa), threads = 1. Its
/// caches are empty at the beginning and stay as a run leaves them; take() begins to count anew.
class ReplayMeter final : public Meter {
 public:
  /// For a program of `ops` ops; `caches` from L1 on, at most three. Throws Error as
  /// CacheSimulator.
  ReplayMeter(std::size_t ops, std::span<const SimulatedCache> caches);

  void begin_run() noexcept override;
  void begin_ops(std::size_t op, std::size_t count) noexcept override;
  void end_ops(std::size_t op, std::size_t count) noexcept override;
  void end_run() noexcept override;
  Measurement take() override;

 private:
  std::vector<SimulatedCache> geometry_;
  CacheSimulator caches_;
  std::size_t runs_ = 0;
  std::vector<std::size_t> counts_;  // (ops) ops that ran as one from here; 0: began none
};

}  // namespace tessera::meters
