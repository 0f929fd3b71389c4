// SPDX-License-Identifier: Apache-2.0
//
// USDT probes for profilers from outside: sdt_tessera:op_begin and sdt_tessera:op_end, with the
// index of the op in Session::program(), the number of ops that run as one from there, and the rows
// of the batch. Where nobody traces, a probe is one nop; docs/PROFILING.md has the recipe.
#pragma once

#include <cstddef>

#include "kernels/types.hpp"

namespace tessera::execute {

void mark_op_begin(std::size_t op, std::size_t count, Index rows) noexcept;
void mark_op_end(std::size_t op, std::size_t count, Index rows) noexcept;

}  // namespace tessera::execute
