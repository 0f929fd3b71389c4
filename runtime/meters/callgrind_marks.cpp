// SPDX-License-Identifier: Apache-2.0
// The only file that includes Valgrind's header: macros that are a few moves outside Valgrind.
#include <cstdio>

#include "runtime/meters/callgrind.hpp"

#ifdef TESSERA_WITH_VALGRIND
#include <valgrind/callgrind.h>
#endif

namespace tessera::meters {

#ifdef TESSERA_WITH_VALGRIND

bool has_callgrind_requests() noexcept {
  return true;
}

void CallgrindMarks::start() noexcept {
  CALLGRIND_START_INSTRUMENTATION;
}

void CallgrindMarks::stop() noexcept {
  CALLGRIND_STOP_INSTRUMENTATION;
}

void CallgrindMarks::begin_ops(std::size_t op, std::size_t count) noexcept {
  std::snprintf(name_, sizeof name_, "op %zu %zu", op, count);
  std::snprintf(rest_, sizeof rest_, "rest %zu %zu", op, count);
  read_buffer();
  CALLGRIND_ZERO_STATS;
}

void CallgrindMarks::end_ops(std::size_t, std::size_t) noexcept {
  CALLGRIND_DUMP_STATS_AT(name_);
  if (evict_.empty()) return;
  read_buffer();
  CALLGRIND_DUMP_STATS_AT(rest_);
}

#else

bool has_callgrind_requests() noexcept {
  return false;
}
void CallgrindMarks::start() noexcept {}
void CallgrindMarks::stop() noexcept {}
void CallgrindMarks::begin_ops(std::size_t, std::size_t) noexcept {}
void CallgrindMarks::end_ops(std::size_t, std::size_t) noexcept {}

#endif

void CallgrindMarks::read_buffer() noexcept {
  for (std::size_t i = 0; i < evict_.size(); i += 16) sum_ += evict_[i];  // no line is shorter
}

}  // namespace tessera::meters
