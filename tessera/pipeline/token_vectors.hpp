// SPDX-License-Identifier: Apache-2.0
// Which rows of late interaction's output are the vectors of a text, and in which order.
#pragma once

#include <span>
#include <vector>

#include "models/package.hpp"
#include "runtime/base/tensor_view.hpp"
#include "tessera/pipeline/sequences.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera {

/// Rows of the output of `sequence`, in the order of the reference's tokens: those that nobody attends
/// to come last; tokens that are skipped in this role are left out.
std::vector<Index> vector_rows(const models::MultiVector& reads, const SequenceView& sequence,
                               TextRole role);

/// These rows of `output` (T, width), one after another.
std::vector<float> token_vectors(const models::MultiVector& reads, const SequenceView& sequence,
                                 TextRole role, const TensorView<const float>& output);

}  // namespace tessera
