// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/progress.hpp"
#include "tessera/cli/say.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace tessera::cli {
namespace {

constexpr int kBarWidth = 24, kLeastBar = 6;
constexpr auto kFirst = std::chrono::milliseconds(500);
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::milliseconds(10000);

bool is_dumb_terminal() {
  const char* const name = std::getenv("TERM");
  return name == nullptr || *name == '\0' || std::string_view(name) == "dumb";
}

// Of stderr, also while the user changes it; 0 where nobody knows.
std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* const given = std::getenv("COLUMNS");
  return given == nullptr ? 0 : std::strtoul(given, nullptr, 10);
}

std::string cut(std::string line, std::size_t columns) {
  if (columns > 0 && line.size() >= columns) line.resize(columns - 1);
  return line;
}

std::string bar(double fraction, int width) {
  const int full = static_cast<int>(fraction * width);
  return fmt::format(" [{:#<{}}{:.<{}}]", "", full, "", width - full);
}

std::string minutes_and_seconds(double seconds) {
  const auto whole = static_cast<long long>(std::ceil(std::min(seconds, 1e9)));
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

std::string progress_line(const std::string& label, std::size_t items, double fraction,
                          double seconds, std::size_t columns) {
  const double rate = seconds > 0.0 ? static_cast<double>(items) / seconds : 0.0;
  const std::string counts = fmt::format("  {} done  {:.0f}/s", items, rate);
  if (fraction < 0.0) return cut(label + counts, columns);
  fraction = std::min(fraction, 1.0);
  const std::string percent = fmt::format(" {:3.0f}%", std::floor(fraction * 100.0));
  const double left = seconds * (1.0 - fraction) / fraction;
  const std::string rest =
      fraction > 0.0 ? fmt::format("  {} left", minutes_and_seconds(left)) : "";
  for (int width = kBarWidth; width >= kLeastBar; width /= 2) {
    std::string line =
        fmt::format("{}{}{}{}{}", label, bar(fraction, width), percent, counts, rest);
    if (columns == 0 || line.size() < columns) return line;
  }
  for (std::string line : {fmt::format("{}{}{}{}", label, percent, counts, rest),
                           fmt::format("{}{}{}", label, percent, rest)}) {
    if (line.size() < columns) return line;
  }
  return cut(label + percent, columns);
}

std::string closing_line(const std::string& who, std::size_t items, const char* unit,
                         double seconds) {
  return fmt::format("{}: {} {}{} in {:.2f} s ({:.0f}/s)", who, items, unit, items == 1 ? "" : "s",
                     seconds, static_cast<double>(items) / std::max(seconds, 1e-9));
}

Progress::Progress(std::string label)
    : label_(std::move(label)),
      is_terminal_(::isatty(STDERR_FILENO) == 1),
      is_dumb_(is_dumb_terminal()),
      begin_(Clock::now()),
      next_(begin_ + (is_dumb_ ? kPlainInterval : kFirst)) {}

Progress::~Progress() {
  clear();
}

void Progress::update(std::size_t items, double fraction) {
  if (!is_terminal_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + (is_dumb_ ? kPlainInterval : kInterval);
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  if (is_dumb_) {
    say("{}\n", progress_line(label_, items, fraction, seconds));
    return;
  }
  // \r and "erase to the end of the line": one line, redrawn.
  say("\r{}\x1b[K", progress_line(label_, items, fraction, seconds, terminal_columns()));
  std::fflush(stderr);
  is_shown_ = true;
}

std::function<void(std::size_t, std::size_t)> Progress::of_known() {
  return [this](std::size_t done, std::size_t total) {
    update(done, static_cast<double>(done) / static_cast<double>(total));
  };
}

void Progress::close(const std::string& who, std::size_t items, const char* unit,
                     bool is_asked_for) {
  clear();
  const Clock::duration taken = Clock::now() - begin_;
  if (!is_asked_for && (!is_terminal_ || taken < kFirst)) return;
  const double seconds = std::chrono::duration<double>(taken).count();
  say("{}\n", closing_line(who, items, unit, seconds));
}

void Progress::clear() {
  if (!is_shown_) return;
  is_shown_ = false;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
}

}  // namespace tessera::cli
