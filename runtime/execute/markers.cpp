// SPDX-License-Identifier: Apache-2.0
// The only file that includes sys/sdt.h.
#include "runtime/execute/markers.hpp"

#ifdef TESSERA_WITH_SDT
#pragma GCC diagnostic ignored "-Wpedantic"
#include <sys/sdt.h>
#endif

namespace tessera::execute {

void mark_op_begin([[maybe_unused]] std::size_t op, [[maybe_unused]] std::size_t count,
                   [[maybe_unused]] Index rows) noexcept {
#ifdef TESSERA_WITH_SDT
  DTRACE_PROBE3(tessera, op_begin, op, count, rows);
#endif
}

void mark_op_end([[maybe_unused]] std::size_t op, [[maybe_unused]] std::size_t count,
                 [[maybe_unused]] Index rows) noexcept {
#ifdef TESSERA_WITH_SDT
  DTRACE_PROBE3(tessera, op_end, op, count, rows);
#endif
}

}  // namespace tessera::execute
