// SPDX-License-Identifier: Apache-2.0
// Short batches of runs that take turns, and the median of what they took.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "bench/support/machine_peaks.hpp"

namespace tessera::bench {

inline constexpr double kBatchSeconds = 0.004;

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Seconds of one run, over a batch of `runs`.
template <class Run>
double seconds_of(Index runs, Run&& run) {
  const double start = thread_seconds();
  for (Index i = 0; i < runs; ++i) {
    run();
    benchmark::ClobberMemory();
  }
  return (thread_seconds() - start) / static_cast<double>(runs);
}

/// Runs that fill a batch.
template <class Run>
Index runs_per_batch(Run&& run) {
  const double seconds = seconds_of(3, run);
  return std::max<Index>(1, static_cast<Index>(kBatchSeconds / seconds));
}

}  // namespace tessera::bench
