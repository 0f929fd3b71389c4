// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/residual_stream.hpp"

#include <algorithm>
#include <vector>

namespace tessera {
namespace {

/// The two values that `op` adds; kNone where it adds none.
struct Sum {
  ValueId a = kNone, b = kNone;
};

Sum sum_of(const Op& op) {
  if (const auto* add = std::get_if<AddOp>(&op)) return {add->a, add->b};
  if (const auto* norm = std::get_if<LayerNormOp>(&op)) return {norm->in, norm->residual};
  if (const auto* linear = std::get_if<LinearOp>(&op)) return {linear->out, linear->residual};
  return {};
}

}  // namespace

Program with_stream(const Program& program) {
  Program result = program;
  std::vector<std::size_t> writer(program.values.size(), 0);
  for (std::size_t i = 0; i < program.ops.size(); ++i) writer[at(output_of(program.ops[i]))] = i;
  for (const Op& op : program.ops) {
    const Sum sum = sum_of(op);
    if (sum.a == kNone || sum.b == kNone || sum.a == sum.b) continue;
    const ValueId stream = writer[at(sum.a)] < writer[at(sum.b)] ? sum.a : sum.b;
    const std::string& name = program.values[at(stream)].name;
    const bool is_output = std::any_of(
        result.outputs.begin(), result.outputs.end(),
        [&](const Output& output) { return output.value == stream || output.name == name; });
    if (!is_output) result.outputs.push_back({name, stream});
  }
  return result;
}

}  // namespace tessera
