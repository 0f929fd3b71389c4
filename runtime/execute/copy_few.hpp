// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>

#include "kernels/types.hpp"

namespace tessera::execute {

/// n floats where they are a few, for which a call of memcpy costs more than the copy.
inline void copy_few(float* to, const float* from, Index n) noexcept {
  for (; n >= 4; n -= 4, to += 4, from += 4) std::memcpy(to, from, 4 * sizeof(float));
  if (n >= 2) {
    std::memcpy(to, from, 2 * sizeof(float));
    n -= 2, to += 2, from += 2;
  }
  if (n == 1) *to = *from;
}

}  // namespace tessera::execute
