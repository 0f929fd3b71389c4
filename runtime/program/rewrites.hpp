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

/// What in_precision() makes of a program.
struct PrecisionRewrite {
  Precision precision = Precision::f32;
  /// The level has attention in bf16. In s8 what is not computed in whole numbers is then bf16, else f32.
  bool attention = false;
  /// What the level's products of whole numbers read: s8 or s16.
  DType quantized = DType::s8;
  /// The level has products with ternary weights (Parameter::is_ternary).
  bool ternary = false;
  /// Linears that s8 leaves as above: names of their weights (Parameter::name); and those that say so
  /// themselves (Parameter::keeps_floats).
  std::span<const std::string> keep{};
  bool clips = false;  ///< weights of s8 are clipped (Parameter::clips)
};

/// The linears of `program` in bf16 or in whole numbers: weights, and what they multiply. A linear or an
/// attention writes that as bf16, a norm whose result nobody adds or a narrow op as either; everything else stays f32: sums, residuals,
/// norms, pooling. Experts are linears here, all of an op alike; patches and convolutions, which gather
/// what they multiply, are bf16, or where whole numbers are asked for what attention is. Linears of one row per
/// sequence, those whose result is an output that no op reads (the last one of a head), and those that choose
/// experts stay f32 too: they take no time worth an error in the answer.
/// Attention multiplies bf16 if the level can, its head size is even and its result is read by such
/// linears alone. Pooled linears (a vocabulary) are not quantised.
/// Precondition: `program` is in f32. Precision::f32: returned as it is.
/// Throws Error{invalid_argument} if `keep` names what is no such weight.
Program in_precision(const Program& program, const PrecisionRewrite& rewrite);

}  // namespace tessera
