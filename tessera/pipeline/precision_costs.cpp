// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/precision_costs.hpp"

#include <utility>

#include "kernels/kernel_table.hpp"
#include "runtime/session/forecast.hpp"
#include "tessera/pipeline/precision.hpp"

namespace tessera {

std::optional<PrecisionCost> cost_in(Precision precision, const models::Package& package,
                                     ModelOptions model, SessionOptions session, Index rows,
                                     Index sequences) {
  const Isa isa = resolve_isa(model.isa, precision);
  const kernels::KernelTable& kernels = kernels::kernels_at(isa);
  if (isa != resolve_isa(model.isa, model.precision)) session.rates = rates_of_other(isa);
  if (kernels.gemm[precision].run == nullptr) return std::nullopt;
  model.precision = precision;
  session.plan = nullptr;
  session.strict = false;  // what the plan that runs falls back on has been said
  const Forecast forecast =
      tessera::forecast(package.program, *package.checkpoint, model, session, rows, sequences);
  return PrecisionCost{.name = option_name(precision),
                       .seconds = forecast.report.totals().seconds,
                       .weights_packed_bytes = forecast.memory.weights_packed,
                       .arena_bytes = forecast.memory.arena};
}

PlanReport report_with_costs(const Session& session, const Model& weights,
                             const models::Package& package, const ModelOptions& model, Index rows,
                             Index sequences) {
  PlanReport report = session.report(rows, sequences);
  if (std::optional<PrecisionCost> other =
          cost_in(other_precision(model.precision, *package.checkpoint), package, model,
                  session.options(), rows, sequences)) {
    report.precisions = {.chosen = {.name = option_name(model.precision),
                                    .seconds = report.totals().seconds,
                                    .weights_packed_bytes = weights.packed_bytes(),
                                    .arena_bytes = session.memory_bytes()},
                         .other = std::move(*other)};
  }
  return report;
}

}  // namespace tessera
