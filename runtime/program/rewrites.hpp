// SPDX-License-Identifier: Apache-2.0
// Rewrites: Program → Program with the same outputs, bit for bit where noted.
#pragma once

#include <span>
#include <string>

#include "runtime/program/program.hpp"

namespace tessera {

/// Keeps the named outputs and drops every op, value and parameter that none of them needs.
/// Throws Error{not_found} naming an unknown output and listing the known ones.
/// With `keep` = all, parameters stay as they are, so that ids into weights loaded before stay
/// valid.
enum class KeepParameters : std::uint8_t { used, all };
Program keep_outputs(const Program& program, std::span<const std::string> names,
                     KeepParameters keep = KeepParameters::used);

/// Where one row per sequence is all that anybody reads of a value (a classifier on the class
/// token), linears, norms, activations and sums compute that row alone: the same bits, and one
/// layer less but for its attention.
Program pool_early(const Program& program);

/// add → layer_norm becomes a layer norm with a residual; linear → activation, linear → add and
/// linear → layer_norm become one linear with an epilogue. Only where the value between the two has
/// no other reader.
Program fuse_epilogues(const Program& program);

/// The linears of `program` in bf16 (Precision::bf16): weights, and what they multiply. A linear, an
/// attention or a narrow op writes that as bf16; everything else stays f32: sums, residuals, norms,
/// pooling, patches. Linears of one row per sequence, and those whose result is an output that no op
/// reads (the last one of a head), stay f32 too: they take no time worth an error in the answer.
/// Attention multiplies bf16 if `attention` (the level has such kernels), its head size is even and
/// its result is read by linears of bf16 alone.
/// Precondition: `program` is in f32. Precision::f32: returned as it is.
Program in_precision(const Program& program, Precision precision, bool attention = false);

}  // namespace tessera
