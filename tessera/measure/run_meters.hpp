// SPDX-License-Identifier: Apache-2.0
// What stands behind `tessera profile --meter`.
#pragma once

#include <string>
#include <vector>

#include "runtime/meters/callgrind.hpp"
#include "runtime/session/session.hpp"
#include "tessera/measure/metered_model.hpp"

namespace tessera {

/// One run to warm up, then `runs` with `meter`: "time" or "hardware", with the
/// event sets of the file `events` unless that is "". Throws Error saying why, where it cannot.
meters::Measurement measure_here(const std::string& meter, const std::string& events,
                                 MeteredModel& metered, Index runs);

/// The second of two runs through this machine's caches, simulated. Of a model whose MeteredOptions
/// say replayed.
meters::Measurement measure_with_replay(MeteredModel& metered);

/// How to simulate caches.
struct CallgrindCaches {
  std::string d1, ll = "l2";  // "": the machine's; "l2", "l3" or a geometry
  bool is_cold = false;       // each op alone
};

/// Runs this binary with `arguments` under Valgrind, on the session's plan. Throws Error.
meters::Measurement measure_with_callgrind(const CallgrindCaches& flags,
                                           std::vector<std::string> arguments,
                                           const Session& session);

/// The other side of measure_with_callgrind(): one run to warm the simulated caches, one between
/// marks; `evict_bytes` as CallgrindMarks has it.
void run_for_callgrind(MeteredModel& metered, std::size_t evict_bytes);

}  // namespace tessera
