// SPDX-License-Identifier: Apache-2.0
// Widths of C at which a micro-kernel does something else.
#pragma once

#include <vector>

#include "kernels/types.hpp"

namespace tessera::kernels {

constexpr Index ceil_div(Index a, Index b) {
  return (a + b - 1) / b;
}

/// Every nr of one panel, and the widths at which the number of panels of a pass changes.
inline std::vector<Index> widths(Index NR) {
  std::vector<Index> all;
  for (Index nr = 1; nr <= NR; ++nr) all.push_back(nr);
  for (Index panels = 2; panels <= 6; ++panels) {
    for (const Index nr : {panels * NR - 1, panels * NR}) all.push_back(nr);
  }
  all.push_back(NR + 1);
  return all;
}

/// Every mr; of a tall tile those at which it does something else.
inline std::vector<Index> heights(Index MR) {
  if (MR > 16) return {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, MR - 1, MR};
  std::vector<Index> all;
  for (Index mr = 1; mr <= MR; ++mr) all.push_back(mr);
  return all;
}

}  // namespace tessera::kernels
