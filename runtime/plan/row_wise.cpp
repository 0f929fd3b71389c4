// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/row_wise.hpp"

namespace tessera {
namespace {

/// w of an element of the result.
double flops_of_element(const Program& program, const Op& op) {
  const auto type = [&](ValueId id) { return program.values[at(id)].type; };
  if (const auto* norm = std::get_if<LayerNormOp>(&op)) {
    return type(norm->out) == DType::f32 ? 21 : type(norm->out) == DType::bf16 ? 26 : 28;
  }
  if (const auto* narrow = std::get_if<NarrowOp>(&op)) {
    return !is_quantized(type(narrow->out)) ? 11 : type(narrow->in) == DType::f32 ? 10 : 13;
  }
  return 0;
}

}  // namespace

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
  cost.seconds = cost.bytes / (in_l2 ? machine.rates.l2_bytes : machine.rates.l3_bytes);
  const ValueId out = output_of(op);
  const double elements =
      static_cast<double>(most_rows(program, out, rows, sequences) * program.values[at(out)].width);
  const double arithmetic =
      elements * flops_of_element(program, op) / machine.rates.flops[Precision::f32];
  if (arithmetic > cost.seconds) cost.seconds = arithmetic, cost.limit = Limit::compute;
  cost.seconds /= static_cast<double>(machine.threads);
  return cost;
}

}  // namespace tessera
