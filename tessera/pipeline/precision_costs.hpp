// SPDX-License-Identifier: Apache-2.0
// What a batch takes in either precision, said before any weight is read.
#pragma once

#include <optional>

#include "models/package.hpp"
#include "runtime/session/session.hpp"

namespace tessera {

/// Time and bytes of `rows` rows in `sequences` sequences where linears multiply `precision`, in a
/// session of these options, of a plan of its own (a saved one is of one precision). Empty where the
/// level has no such kernels. Errors: those of forecast().
std::optional<PrecisionCost> cost_in(Precision precision, const models::Package& package,
                                     ModelOptions model, SessionOptions session, Index rows,
                                     Index sequences);

/// The session's report of such a batch, and beside it what another precision would take
/// (other_precision()). `model`: what session and `weights` were made with. Errors: as cost_in().
PlanReport report_with_costs(const Session& session, const Model& weights,
                             const models::Package& package, const ModelOptions& model, Index rows,
                             Index sequences);

}  // namespace tessera
