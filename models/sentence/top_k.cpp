// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/top_k.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/base/error.hpp"

namespace tessera::models {
namespace {

/// Whether an op reads the value, or an output of another name is it.
bool is_used_elsewhere(const Program& program, ValueId value) {
  const auto names = std::count_if(program.outputs.begin(), program.outputs.end(),
                                   [&](const Output& output) { return output.value == value; });
  return names > 1 || std::any_of(program.ops.begin(), program.ops.end(), [&](const Op& op) {
           const std::vector<ValueId> in = inputs_of(op);
           return std::find(in.begin(), in.end(), value) != in.end();
         });
}

/// The `top` of the op that writes `value`, if it has one and nobody else reads all columns.
Index* top_of_writer(Program& program, ValueId value) {
  if (is_used_elsewhere(program, value)) return nullptr;
  for (Op& op : program.ops) {
    if (output_of(op) != value) continue;
    if (auto* pooled = std::get_if<PooledLinearOp>(&op)) return &pooled->top;
    if (auto* by_id = std::get_if<LargestByIdOp>(&op)) return &by_id->top;
  }
  return nullptr;
}

}  // namespace

void keep_heaviest(Index k, Package& package) {
  Program& program = package.program;
  bool is_any = false;
  for (Output& output : program.outputs) {
    if (!package.is_sparse(output.name)) continue;
    is_any = true;
    Value& value = program.values[static_cast<std::size_t>(output.value)];
    if (k < 1 || k > std::min(value.width, kMostTopColumns)) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("{}: top_k: got {}, expected 1 to {}, the vocabulary's size",
                      package.directory.string(), k, std::min(value.width, kMostTopColumns)));
    }
    if (Index* const top = top_of_writer(program, output.value)) {
      *top = k;
      value.width = 2 * k;
    } else {
      TopColumnsOp op{.in = output.value,
                      .out = program.add_value(output.name + ".top", kSequences, 2 * k)};
      output.value = op.out;
      program.ops.emplace_back(op);
    }
  }
  if (!is_any) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: top_k: got {}, but no output of this {} is sparse, expected a model "
                    "with SpladePooling, or lexical_weights of BGE-M3",
                    package.directory.string(), k, package.architecture));
  }
  package.top_k = k;
}

}  // namespace tessera::models
