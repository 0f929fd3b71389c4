// SPDX-License-Identifier: Apache-2.0
// The meter `time`: wall time per op, one reading of the monotonic clock where each ends.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/meters/meter.hpp"

namespace tessera::meters {

/// seconds of an op = the median over the runs of the time since the op before ended, so that the
/// ops of a run add up to the run; run_seconds = the median of those. (Medians need not add up to
/// the median.) All memory is taken at construction.
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
  std::size_t runs_ = 0;                   // since take()
  std::int64_t run_begin_ = 0, last_ = 0;  // ns
  std::vector<std::int64_t> samples_;      // (ops, most_runs) ns; the ring of each op
  std::vector<std::int64_t> run_samples_;  // (most_runs) ns
  std::vector<std::size_t> counts_;        // (ops) ops that ran as one from here; 0: began none
};

}  // namespace tessera::meters
