// SPDX-License-Identifier: Apache-2.0
//
// Tables whose rows are made at load, as f32, of what is stored:
//
//   row n = row_scale[n] · source[gather[n]]         gather: n where there is none; row_scale: 1
//
// and tables of numbers that no weight is stored as, I8 and F64: what is stored is the number itself, a scale
// that stands elsewhere is none of theirs. What model2vec makes smaller is of both kinds.
#pragma once

#include "kernels/kernel_table.hpp"
#include "runtime/program/program.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {

/// Whether the rows of a table are made at load; else it is read as it is stored.
bool is_picked(const Checkpoint& checkpoint, const Parameter& parameter);

/// The rows of `parameter`, a table of one source, to (rows, cols) of `to`.
/// Errors  not_found, corrupt_file: a tensor that is not there, or of another size; unsupported_model: one
///         that is stored as something else
void pick_rows(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
               const Parameter& parameter, float* to);

}  // namespace tessera
