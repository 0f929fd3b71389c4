// SPDX-License-Identifier: Apache-2.0
// Tasks of an op over maps: one row of cells each.
#pragma once

#include "runtime/execute/execute.hpp"

namespace tessera::execute {

/// Calls body(s, row) for every row < rows_of(s) of map s of `maps`, each a task.
template <class RowsOf, class Body>
void for_each_map_row(const Context& context, Index maps, const RowsOf& rows_of,
                      const Body& body) noexcept {
  const std::span<std::int32_t> begin{context.block_begin, static_cast<std::size_t>(maps) + 1};
  begin[0] = 0;  // rows before those of map s
  for (Index s = 0; s < maps; ++s) {
    const auto i = static_cast<std::size_t>(s);
    begin[i + 1] = begin[i] + static_cast<std::int32_t>(rows_of(s));
  }
  context.workers.run(begin.back(), [&](Index task, int) {
    const Index s = sequence_of(begin, task);
    body(s, task - begin[static_cast<std::size_t>(s)]);
  });
}

}  // namespace tessera::execute
