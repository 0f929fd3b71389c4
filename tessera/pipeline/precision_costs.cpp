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

}  // namespace tessera
