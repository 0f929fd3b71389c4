// SPDX-License-Identifier: Apache-2.0
// Rewrites: Program → Program with the same outputs, bit for bit where noted.
#pragma once

#include <span>
#include <string>

#include "runtime/program/program.hpp"

namespace tessera {

/// Keeps the named outputs and drops every op, value and parameter that none of them needs.
/// Throws Error{not_found} naming an unknown output and listing the known ones.
Program keep_outputs(const Program& program, std::span<const std::string> names);

/// linear → activation and linear → add become one linear with an epilogue, where the value between them
/// has no other use. add → layer_norm becomes a layer norm with a residual where the add was not taken by a linear.
Program fuse_epilogues(const Program& program);

}  // namespace tessera
