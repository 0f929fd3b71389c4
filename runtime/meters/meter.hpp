// SPDX-License-Identifier: Apache-2.0
//
// A meter measures what a plan predicts: per op, the bytes that move into each cache, the
// time, the instructions. A Session tells it where each op begins and ends (RunObserver), and
// nothing below a Session knows that it exists: without a meter a run costs one test of a null
// pointer per op, and no kernel has a branch for it.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/execute/run_observer.hpp"

namespace tessera::meters {

/// Bytes across one edge, that is between a cache and the level behind it: lines that come in
/// (demand and prefetch, write-allocate included), and changed lines that go back out. The model's
/// `l2_bytes` is their sum for L2.
struct EdgeBytes {
  double fills = 0, written_back = 0;
  double total() const noexcept { return fills + written_back; }
};

/// What one op did, or the ops [op, op + count) where they ran as one (a chain). Averages over the
/// measured runs; what a meter cannot tell is empty.
struct OpMeasurement {
  std::size_t op = 0, count = 1;
  std::optional<double> seconds{}, instructions{}, cycles{};
  std::optional<EdgeBytes> l1{}, l2{}, l3{};  ///< between L1 and L2, L2 and L3, L3 and memory
};

/// What a meter saw, and what it could not see and why.
struct Measurement {
  std::string meter{};   ///< "time", "hardware", "callgrind", "replay"
  std::string source{};  ///< "LRU, L1 48 KiB 12 ways, …", names of events, "valgrind 3.19, …"
  std::vector<OpMeasurement> ops{};
  std::vector<std::string> notes{};     ///< one line each: a level that is missing and why
  bool is_op_alone = false;             ///< every op began with cold caches
  std::optional<double> run_seconds{};  ///< a whole run, with what lies between the ops
};

/// Attach to a session with Session::observe(), run it, detach, then ask for the measurement.
class Meter : public RunObserver {
 public:
  /// Of all runs since it was attached or last asked, averaged per run.
  virtual Measurement take() = 0;
};

}  // namespace tessera::meters
