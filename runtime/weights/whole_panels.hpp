// SPDX-License-Identifier: Apache-2.0
// Panels of whole numbers (Precision::s8, ternary) whose numbers are those of the checkpoint, without a copy in floats.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/kernel_table.hpp"
#include "runtime/program/parameter.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {

/// Whether `p` is a matrix whose rows are rows of tensors of -1, 0 and 1, times a row_scale at most
/// (Parameter::is_ternary).
bool is_stored_ternary(const Checkpoint& checkpoint, const Parameter& p);

/// Whether the rows of `p` are rows of its sources, times a row_scale at most, and have a scale before
/// they are packed: they are stored as whole numbers, have a row_scale, or are clipped.
bool packs_whole_rows(const Checkpoint& checkpoint, const Parameter& p);

/// Fills the panels of `p` (bytes as Gemm::panel_bytes(), zeroed). A row that is stored as whole numbers
/// keeps them, and its scale; one of floats is divided by `factors` (K), if there are any, and quantised as
/// pack_panel does, or clipped (Parameter::clips). `row_scale`: (rows) what each row is multiplied with, or
/// none; it becomes a part of the scale.
///
///   w[n,k] = q[n,k] · (scale[n] · row_scale[n])
///
/// False: a scale is not finite.
bool pack_whole_rows(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
                     const Parameter& p, std::span<const double> row_scale,
                     std::span<const float> factors, std::byte* panels);

}  // namespace tessera
