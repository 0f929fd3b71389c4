// SPDX-License-Identifier: Apache-2.0
// The meter `time`: wall time per op, two readings of the monotonic clock each.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/meters/meter.hpp"

namespace tessera::meters {

/// seconds of an op = the median over the runs; so is `run_seconds`, from the first op's begin to
/// the last one's end. Medians need not add up to the median. All memory is taken at construction.
class TimeMeter final : public Meter {
 public:
  using Clock = std::int64_t (*)() noexcept;  ///< nanoseconds
  static std::int64_t monotonic() noexcept;

  /// For a program of `ops` ops; of more than `most_runs` runs the last ones are kept.
  explicit TimeMeter(std::size_t ops, std::size_t most_runs = 64, Clock clock = &monotonic);

  void begin_run() noexcept override;
  void begin_ops(std::size_t op, std::size_t count) noexcept override;
  void end_ops(std::size_t op, std::size_t count) noexcept override;
  void end_run() noexcept override;
  Measurement take() override;

 private:
  std::size_t ops_, most_runs_;
  Clock now_;
  std::size_t runs_ = 0;                       // since take()
  std::int64_t run_begin_ = 0, op_begin_ = 0;  // ns
  std::vector<std::int64_t> samples_;          // (ops, most_runs) ns; the ring of each op
  std::vector<std::int64_t> run_samples_;      // (most_runs) ns
  std::vector<std::size_t> counts_;            // (ops) ops that ran as one from here; 0: began none
};

}  // namespace tessera::meters
