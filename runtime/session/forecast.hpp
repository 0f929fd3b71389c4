// SPDX-License-Identifier: Apache-2.0
// What a session would do and take, of a model that nobody has loaded.
#pragma once

#include "runtime/session/memory_bytes.hpp"

namespace tessera {

struct Forecast {
  MemoryBytes memory;
  PlanReport report;
};

/// Session::report() and memory_bytes() of one plan. Reads shapes, not weights: whether the weights
/// can be had in that precision, packing will tell. Errors: theirs, and those of Model::create().
Forecast forecast(const Program& program, const Checkpoint& checkpoint,
                  const ModelOptions& model_options, const SessionOptions& options, Index rows,
                  Index sequences);

}  // namespace tessera
