// SPDX-License-Identifier: Apache-2.0
// The way of every encode function: check everything, cut into runs, hand the rows over.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "runtime/threads/run_control.hpp"
#include "tessera/c_api/objects.hpp"

namespace tessera::c_api {

using Clock = std::chrono::steady_clock;

/// (S+1): sequence s has the rows [offsets[s], offsets[s+1]).
using RowOffsets = std::span<const std::int64_t>;

/// What ends a call early, and what else tessera_run_options says.
struct RunLimits {
  std::shared_ptr<const CancelObject> cancel = {};  // null: nobody cancels
  Clock::time_point deadline = Clock::time_point::max();
  bool interpolates = false;

  RunControl control() const noexcept {
    return {.cancelled = cancel == nullptr ? nullptr : &cancel->requested, .deadline = deadline};
  }
  /// Between runs. Throws Error{cancelled}.
  void check() const;
};

RunLimits read_run_options(const tessera_run_options* pointer);

/// Throws Error{invalid_argument} for what the session can or may not compute.
void check_limits(const SessionObject& session, RowOffsets offsets);

/// Reads where the outputs go into session.targets, and checks that there is room.
void read_targets(SessionObject& session, const tessera_output* outputs, std::size_t count,
                  RowOffsets offsets);

/// The rows of the last run to the caller; its first sequence is number `sequence` of the batch and
/// its first row number `row`.
void copy_results(const SessionObject& session, std::size_t sequence, Index row);

/// Calls run(first, last), which computes the sequences [first, last) in one run, for as many as
/// the session takes at once, in the order of the batch.
template <class Run>
void encode_in_runs(SessionObject& session, RowOffsets offsets, const RunLimits& limits, Run run) {
  const SessionOptions& most = session.session->options();
  const std::size_t count = offsets.size() - 1;
  for (std::size_t first = 0; first < count;) {
    std::size_t last = first + 1;
    while (last < count && static_cast<Index>(last - first) < most.max_sequences &&
           offsets[last + 1] - offsets[first] <= most.max_rows) {
      ++last;
    }
    limits.check();
    run(first, last);
    copy_results(session, first, offsets[first]);
    first = last;
  }
}

}  // namespace tessera::c_api
