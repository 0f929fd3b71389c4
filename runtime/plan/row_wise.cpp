// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/row_wise.hpp"

namespace tessera {

RowWiseCost row_wise_cost(const Program& program, const Op& op, Index rows, Index sequences,
                          const PlanMachine& machine) {
  const auto bytes_of = [&](ValueId id) {
    const Value& value = program.values[at(id)];
    return static_cast<double>(most_rows(program, id, rows, sequences) * value.width *
                               size_of(value.type));
  };
  RowWiseCost cost{.bytes = 2 * bytes_of(output_of(op))};
  if (const auto* gather = std::get_if<EmbeddingOp>(&op)) {  // rows of the tables, in f32
    cost.bytes += static_cast<double>(gather->terms.size()) * bytes_of(gather->out);
  }
  for (const ValueId in : inputs_of(op)) cost.bytes += bytes_of(in);
  if (const auto* turn = std::get_if<RotateOp>(&op)) {  // Q and K alone, where they lie
    const Index heads = turn->q.count + turn->k.count;
    cost.bytes = 2.0 * static_cast<double>(heads * turn->head_dim) /
                 static_cast<double>(program.values[at(turn->in)].width) * bytes_of(turn->in);
  }
  const bool in_l2 = cost.bytes <= machine.Z2();
  cost.limit = in_l2 ? Limit::l2 : Limit::l3;
  cost.seconds = cost.bytes / (in_l2 ? machine.rates.l2_bytes : machine.rates.l3_bytes) /
                 static_cast<double>(machine.threads);
  return cost;
}

}  // namespace tessera
