// SPDX-License-Identifier: Apache-2.0
// One line on stderr that shows how far a long job is. Silent unless stderr is a terminal. One that
// cannot redraw a line (TERM=dumb) gets a line now and then.
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
  /// The last word: closing_line(), where it `is_asked_for`, and on a terminal behind half a second.
  void close(const std::string& who, std::size_t items, const char* unit, bool is_asked_for);

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  bool is_terminal_;
  bool is_dumb_;
  bool is_shown_ = false;
  Clock::time_point begin_, next_;
};

/// The line that Progress draws: `label [####....]  40%  123 done  45/s  0:07 left`. It has less than
/// `columns` characters (0: any number): the bar gets shorter, then parts are left out.
std::string progress_line(const std::string& label, std::size_t items, double fraction,
                          double seconds, std::size_t columns = 0);

/// `who: 123 texts in 4.56 s (27/s)`.
std::string closing_line(const std::string& who, std::size_t items, const char* unit,
                         double seconds);

}  // namespace tessera::cli
