// SPDX-License-Identifier: Apache-2.0
// One line on stderr that shows how far a long job is. Silent unless stderr is a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace tessera::cli {

class Progress {
 public:
  /// `label` says what is done to what: "embedding", "indexing".
  explicit Progress(std::string label);
  /// Removes the line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `fraction` in [0,1], or negative where the end is not known. Draws at most ten times a second,
  /// and nothing in the first half second.
  void update(std::size_t items, double fraction);
  /// update() for a job whose end is known.
  std::function<void(std::size_t done, std::size_t total)> of_known();
  /// Removes the line, before something else is printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  bool is_terminal_;
  bool is_shown_ = false;
  Clock::time_point begin_, next_;
};

/// The line that Progress draws: `label [####....]  40%  123 items  45/s  0:07 left`.
std::string progress_line(const std::string& label, std::size_t items, double fraction,
                          double seconds);

}  // namespace tessera::cli
