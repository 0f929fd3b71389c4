// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

namespace tessera::meters {
namespace {

/// The middle one, or the mean of both.
double median_seconds(std::span<const std::int64_t> samples) {
  std::vector<std::int64_t> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  const std::size_t n = sorted.size();
  return 0.5e-9 * static_cast<double>(sorted[n / 2] + sorted[(n - 1) / 2]);
}

}  // namespace

std::int64_t TimeMeter::monotonic() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

TimeMeter::TimeMeter(std::size_t ops, std::size_t most_runs, Clock clock)
    : ops_(ops),
      most_runs_(std::max<std::size_t>(1, most_runs)),
      now_(clock),
      samples_(ops_ * most_runs_, 0),
      run_samples_(most_runs_, 0),
      counts_(ops_, 0) {}

void TimeMeter::begin_run() noexcept {
  for (std::size_t op = 0; op < ops_; ++op) samples_[op * most_runs_ + runs_ % most_runs_] = 0;
  run_begin_ = last_ = now_();
}

void TimeMeter::begin_ops(std::size_t, std::size_t) noexcept {}

void TimeMeter::end_ops(std::size_t op, std::size_t count) noexcept {
  const std::int64_t end = now_();
  const std::int64_t begin = std::exchange(last_, end);
  if (op >= ops_) return;                                         // of another program
  samples_[op * most_runs_ + runs_ % most_runs_] += end - begin;  // once a block in a chain
  counts_[op] = count;
}

void TimeMeter::end_run() noexcept {
  run_samples_[runs_ % most_runs_] = last_ - run_begin_;
  ++runs_;
}

Measurement TimeMeter::take() {
  const std::size_t kept = std::min(runs_, most_runs_);
  Measurement result{
      .meter = "time",
      .source = fmt::format("monotonic clock, median of {} run{}", kept, kept == 1 ? "" : "s")};
  if (kept == 0) {
    result.notes.emplace_back("time: no run was measured");
    return result;
  }
  result.run_seconds = median_seconds(std::span(run_samples_).first(kept));
  for (std::size_t i = 0; i < ops_; ++i) {
    if (counts_[i] == 0) continue;
    result.ops.push_back(
        {.op = i,
         .count = counts_[i],
         .seconds = median_seconds(std::span(samples_).subspan(i * most_runs_, kept))});
  }
  runs_ = 0;
  std::fill(counts_.begin(), counts_.end(), 0);
  return result;
}

}  // namespace tessera::meters
