// SPDX-License-Identifier: Apache-2.0
// How a caller ends a run before it is done.
#pragma once

#include <atomic>
#include <chrono>

namespace tessera {

/// Both are looked at between tasks and, within a linear, at every eighth call of its micro-kernel: a run
/// ends within the time of one task of attention or eight register tiles, with ternary weights of up to
/// sixty-four.
///
/// Threads   any thread may store true to `*cancelled` while the run is in progress; the flag must
///           outlive the run.
struct RunControl {
  const std::atomic<bool>* cancelled = nullptr;  ///< null: nobody cancels
  std::chrono::steady_clock::time_point deadline =
      std::chrono::steady_clock::time_point::max();  ///< max(): none
};

/// What the workers of one run ask.
class RunStop {
 public:
  RunStop() = default;
  explicit RunStop(const RunControl& control) noexcept
      : cancelled_(control.cancelled),
        deadline_(control.deadline),
        has_deadline_(control.deadline != std::chrono::steady_clock::time_point::max()) {}

  /// Ends the run whatever the caller says (a pool that failed).
  void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }

  /// True from the first time on that any of the reasons held. A load or two; with a deadline also
  /// a look at the clock.
  bool requested() noexcept {
    if (stopped_.load(std::memory_order_relaxed)) return true;
    const bool now = (cancelled_ != nullptr && cancelled_->load(std::memory_order_relaxed)) ||
                     (has_deadline_ && std::chrono::steady_clock::now() >= deadline_);
    if (now) stop();
    return now;
  }
  /// Whether work was left out.
  bool stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }
  bool past_deadline() const noexcept {
    return has_deadline_ && std::chrono::steady_clock::now() >= deadline_;
  }

 private:
  const std::atomic<bool>* cancelled_ = nullptr;
  std::chrono::steady_clock::time_point deadline_{};
  bool has_deadline_ = false;
  std::atomic<bool> stopped_{false};
};

}  // namespace tessera
