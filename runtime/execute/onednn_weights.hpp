// SPDX-License-Identifier: Apache-2.0
// The linears of one session that oneDNN runs: a second copy of their weights, one oneDNN object
// per worker over each.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runtime/base/arena.hpp"
#include "runtime/execute/linear_onednn.hpp"
#include "runtime/plan/plan.hpp"
#include "runtime/weights/packed_weights.hpp"

namespace tessera::execute {

class OneDnnWeights {
 public:
  /// Null if no op of the schedule uses oneDNN. Throws Error as OneDnnLinear does.
  static std::unique_ptr<OneDnnWeights> create(const Program& program,
                                               std::span<const OpSchedule> schedule,
                                               const PackedWeights& weights,
                                               const kernels::KernelTable& kernels, int workers);
  /// The most that create() allocates for weights, whatever is measured.
  static std::size_t most_bytes(const Program& program);

  std::size_t bytes() const noexcept { return bytes_; }

  /// Op `i`, on the object of piece `piece` < workers. False: refused, c is undefined.
  bool run(std::size_t i, Index piece, const OneDnnCall& call,
           const kernels::KernelTable& kernels) noexcept;

 private:
  struct Linear {
    Arena storage;
    std::vector<OneDnnLinear> by_worker;
  };
  std::vector<Linear> linears_;  // by op; most are empty
  std::size_t bytes_ = 0;
};

/// Time of oneDNN over time of a nest for a shape, on random data: medians of alternating runs;
/// infinite where oneDNN refuses. Empty where its plugin cannot be loaded, with a warning in the log, once.
std::function<double(const LinearShape&, const LoopNest&)> onednn_measurement(
    const kernels::KernelTable& kernels);

}  // namespace tessera::execute
