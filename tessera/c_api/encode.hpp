// SPDX-License-Identifier: Apache-2.0
// The way of every encode function: check everything, cut into batches, hand the rows over.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "runtime/threads/run_control.hpp"
#include "tessera/c_api/objects.hpp"

namespace tessera::c_api {

using Clock = std::chrono::steady_clock;

/// What ends a call early, and what else tessera_run_options says.
struct RunLimits {
  std::shared_ptr<const CancelObject> cancel = {};  // null: nobody cancels
  Clock::time_point deadline = Clock::time_point::max();
  bool interpolates = false;
  tessera_status* item_status = nullptr;  // null: one item that fails fails the call
  Index max_pixels = 0;                   // of an image as it is given; 0: the default

  RunControl control() const noexcept {
    return {.cancelled = cancel == nullptr ? nullptr : &cancel->requested, .deadline = deadline};
  }
  /// Between runs. Throws Error{cancelled}.
  void check() const;
};

RunLimits read_run_options(const tessera_run_options* pointer);

/// Throws Error{invalid_argument} for what the session can or may not compute.
void check_limits(const SessionObject& session, RowOffsets offsets);

/// Reads where the outputs go into session.targets, and checks that there is room for `items` texts
/// or images with the rows of `offsets`. `places`: the item of each sequence; empty: its number.
void read_targets(SessionObject& session, const tessera_output* outputs, std::size_t count,
                  RowOffsets offsets, std::size_t items, std::span<const std::size_t> places);

/// The rows of sequence number `sequence`, the first of which is row number `row`, to the caller.
void copy_results(const SessionObject& session, std::size_t sequence, Index row, Results results);

/// Calls run(chosen, sink), which computes the sequences `chosen` in one run and hands each to
/// `sink`, for as many as the session takes at once by `offsets`; the rows, which begin at `rows`, go to
/// session.targets.
template <class Run>
void encode_in_batches(SessionObject& session, RowOffsets offsets, RowOffsets rows,
                       const RunLimits& limits, Run run) {
  const SessionOptions& most = session.session->options();
  // Two references: more would not fit into a std::function without an allocation.
  const Sink sink = [&session, &rows](std::size_t s, Results results) {
    copy_results(session, s, rows[s], results);
  };
  session.windows.each(offsets, most.max_rows, most.max_sequences,
                       [&](std::span<const std::size_t> chosen) {
                         limits.check();
                         run(chosen, sink);
                       });
}

/// The whole way of `sequences`, whose rows are as `offsets` say, into `outputs` (read_targets()):
/// checked against the session's limits and the model, computed in batches.
/// Precondition: the session's turn.
void encode_sequences(SessionObject& session, const Sequences& sequences, RowOffsets offsets,
                      const RunLimits& limits, const tessera_output* outputs,
                      std::size_t output_count, std::size_t items,
                      std::span<const std::size_t> places);

}  // namespace tessera::c_api
