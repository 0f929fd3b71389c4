// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "runtime/program/rewrites.hpp"

namespace tessera {
namespace {

class ToBf16 {
 public:
  explicit ToBf16(const Program& program)
      : result_(program),
        narrow_(program.values.size(), kNone),
        others_(program.values.size(), false) {}

  Program run() {
    for (const Op& op : result_.ops) {
      if (is_changed(op)) continue;
      for (const ValueId in : inputs_of(op)) others_[at(in)] = true;
    }
    for (const Op& op : result_.ops) {  // residuals stay f32
      const auto* linear = std::get_if<LinearOp>(&op);
      if (linear != nullptr && linear->residual != kNone) others_[at(linear->residual)] = true;
    }
    for (const Output& output : result_.outputs) others_[at(output.value)] = true;

    const std::vector<bool> wanted = wanted_values();
    std::vector<Op> ops;
    for (Op op : result_.ops) {
      if (auto* linear = std::get_if<LinearOp>(&op); linear != nullptr && is_changed(op)) {
        result_.parameters[at(linear->weight)].precision = Precision::bf16;
        linear->in = narrow_[at(linear->in)];
      }
      const ValueId out = output_of(op);
      ops.push_back(op);
      if (!wanted[at(out)]) continue;
      const auto* writer = std::get_if<LinearOp>(&op);
      if (writer != nullptr && !writer->norm && !others_[at(out)]) {
        result_.values[at(out)].type = DType::bf16;
        narrow_[at(out)] = out;
        continue;
      }
      const Value wide = result_.values[at(out)];
      narrow_[at(out)] =
          result_.add_value(wide.name + ".bf16", wide.space, wide.width, DType::bf16);
      ops.push_back(NarrowOp{.in = out, .out = narrow_[at(out)]});
    }
    result_.ops = std::move(ops);
    return std::move(result_);
  }

 private:
  bool is_changed(const Op& op) const {
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr || result_.values[at(linear->out)].space == kSequences) return false;
    if (shared_.empty()) find_shared();
    if (shared_[at(linear->weight)]) return false;
    const bool is_answer =
        !linear->norm && linear->residual == kNone &&
        std::any_of(result_.outputs.begin(), result_.outputs.end(),
                    [&](const Output& output) { return output.value == linear->out; });
    return !is_answer;
  }

  /// Matrices that an op other than a linear over tokens uses stay as they are.
  void find_shared() const {
    shared_.assign(result_.parameters.size(), false);
    for (const Op& op : result_.ops) {
      const auto* linear = std::get_if<LinearOp>(&op);
      const bool over_tokens =
          linear != nullptr && result_.values[at(linear->out)].space != kSequences;
      if (over_tokens) continue;
      for (const ParameterId id : parameters_of(op)) shared_[at(id)] = true;
    }
  }

  std::vector<bool> wanted_values() const {
    std::vector<bool> wanted(result_.values.size(), false);
    for (const Op& op : result_.ops) {
      if (is_changed(op)) wanted[at(std::get<LinearOp>(op).in)] = true;
    }
    return wanted;
  }

  Program result_;
  std::vector<ValueId> narrow_;         // the bf16 form of each value
  std::vector<bool> others_;            // values that somebody reads as f32
  mutable std::vector<bool> shared_{};  // parameters
};

}  // namespace

Program in_precision(const Program& program, Precision precision) {
  if (precision == Precision::f32) return program;
  return ToBf16(program).run();
}

}  // namespace tessera
