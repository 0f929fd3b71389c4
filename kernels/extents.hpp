// SPDX-License-Identifier: Apache-2.0
// Preconditions and integer arithmetic of extents. Internal to each source: every ISA level compiles it for itself.
#pragma once

#include <cassert>

#include "kernels/types.hpp"

/// What a kernel's contract asks of its caller: checked in debug builds, assumed in others.
#define TESSERA_ASSERT(condition) assert(condition)

namespace tessera::kernels {
namespace {

constexpr Index min_of(Index x, Index y) noexcept {
  return x < y ? x : y;
}
constexpr Index max_of(Index x, Index y) noexcept {
  return x < y ? y : x;
}
constexpr Index round_up(Index x, Index step) noexcept {
  return (x + step - 1) / step * step;
}

}  // namespace
}  // namespace tessera::kernels
