// SPDX-License-Identifier: Apache-2.0
// A benchmark whose result is wrong is not timed, and the program says so by its exit status.
#pragma once

#include <benchmark/benchmark.h>

#include <string>

namespace tessera::bench {

inline bool any_wrong = false;

inline void skip_wrong(benchmark::State& state, const std::string& what = "wrong result") {
  any_wrong = true;
  state.SkipWithError(what.c_str());
}

/// Runs what was registered: 0, or 1 if a result was wrong or no benchmark matched the filter.
inline int run_checked() {
  const bool any_ran = benchmark::RunSpecifiedBenchmarks() > 0;
  return any_ran && !any_wrong ? 0 : 1;
}

}  // namespace tessera::bench
