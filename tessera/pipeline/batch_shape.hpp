// SPDX-License-Identifier: Apache-2.0
// How many rows and sequences a batch has that somebody asks about.
#pragma once

#include "runtime/program/program.hpp"

namespace tessera {

/// A batch of `rows` rows in `sequences` sequences.
struct BatchShape {
  Index rows, sequences;
};

/// `rows` token rows in `sequences` sequences; 0: in as few as the model takes. Images come whole, at the
/// native size: as many as `sequences` says, else as fit into `rows`, one at least.
///
/// Precondition: 1 ≤ rows, 0 ≤ sequences ≤ 2³⁰. Throws Error{invalid_argument}, "sequences: got …", where
/// there are more sequences than rows, or a sequence would have more rows than the model takes.
BatchShape batch_shape(const Program& program, Index rows, Index sequences);

}  // namespace tessera
