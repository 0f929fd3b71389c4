// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <utility>

namespace tessera::cli {
namespace {

constexpr int kBarWidth = 24;
constexpr auto kFirst = std::chrono::milliseconds(500);
constexpr auto kInterval = std::chrono::milliseconds(100);

std::string minutes_and_seconds(double seconds) {
  const auto whole = static_cast<long long>(std::ceil(std::min(seconds, 1e9)));
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

std::string progress_line(const std::string& label, std::size_t items, double fraction,
                          double seconds) {
  const double rate = seconds > 0.0 ? static_cast<double>(items) / seconds : 0.0;
  std::string line = label;
  if (fraction >= 0.0) {
    fraction = std::min(fraction, 1.0);
    const int full = static_cast<int>(fraction * kBarWidth);
    fmt::format_to(std::back_inserter(line), " [{:#<{}}{:.<{}}] {:3.0f}%", "", full, "",
                   kBarWidth - full, std::floor(fraction * 100.0));
  }
  fmt::format_to(std::back_inserter(line), "  {} done  {:.0f}/s", items, rate);
  if (fraction > 0.0) {
    const double left = seconds * (1.0 - fraction) / fraction;
    fmt::format_to(std::back_inserter(line), "  {} left", minutes_and_seconds(left));
  }
  return line;
}

Progress::Progress(std::string label)
    : label_(std::move(label)),
      is_terminal_(::isatty(STDERR_FILENO) == 1),
      begin_(Clock::now()),
      next_(begin_ + kFirst) {}

Progress::~Progress() {
  clear();
}

void Progress::update(std::size_t items, double fraction) {
  if (!is_terminal_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  // \r and "erase to the end of the line": one line, redrawn.
  fmt::print(stderr, "\r{}\x1b[K", progress_line(label_, items, fraction, seconds));
  std::fflush(stderr);
  is_shown_ = true;
}

std::function<void(std::size_t, std::size_t)> Progress::of_known() {
  return [this](std::size_t done, std::size_t total) {
    update(done, static_cast<double>(done) / static_cast<double>(total));
  };
}

void Progress::clear() {
  if (!is_shown_) return;
  is_shown_ = false;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
}

}  // namespace tessera::cli
