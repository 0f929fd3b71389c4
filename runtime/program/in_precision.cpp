// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/rewrites.hpp"

namespace tessera {
namespace {

class ToBf16 {
 public:
  explicit ToBf16(const Program& program)
      : result_(program),
        is_read_(program.values.size(), false),
        stays_(program.parameters.size(), false),
        as_f32_(program.values.size(), false),
        narrow_(program.values.size(), kNone) {
    for (const Op& op : result_.ops) {
      for (const ValueId in : inputs_of(op)) is_read_[at(in)] = true;
    }
    for (const Op& op : result_.ops) {
      if (may_change(op)) continue;
      for (const ParameterId id : parameters_of(op)) stays_[at(id)] = true;
    }
  }

  Program run() {
    std::vector<bool> wanted(result_.values.size(), false);  // in bf16
    for (const Op& op : result_.ops) {
      if (!changes(op)) {
        for (const ValueId in : inputs_of(op)) as_f32_[at(in)] = true;
        continue;
      }
      const auto& linear = std::get<LinearOp>(op);
      wanted[at(linear.in)] = true;
      if (linear.residual != kNone) as_f32_[at(linear.residual)] = true;
    }
    for (const Output& output : result_.outputs) as_f32_[at(output.value)] = true;

    std::vector<Op> ops;
    for (Op op : result_.ops) {
      if (changes(op)) {
        auto& linear = std::get<LinearOp>(op);
        result_.parameters[at(linear.weight)].precision = Precision::bf16;
        linear.in = narrow_[at(linear.in)];
      }
      const ValueId out = output_of(op);
      ops.push_back(op);
      if (!wanted[at(out)]) continue;
      if (const auto* writer = std::get_if<LinearOp>(&op);
          writer != nullptr && !writer->norm && !as_f32_[at(out)]) {
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
  /// A linear over tokens; not the last one of a head, whose result is an output that no op reads.
  bool may_change(const Op& op) const {
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr || result_.values[at(linear->out)].space == kSequences) return false;
    return is_read_[at(linear->out)] || linear->norm || linear->residual != kNone;
  }
  /// Matrices that any other op uses stay as they are.
  bool changes(const Op& op) const {
    return may_change(op) && !stays_[at(std::get<LinearOp>(op).weight)];
  }

  Program result_;
  std::vector<bool> is_read_;    // values, by an op
  std::vector<bool> stays_;      // parameters
  std::vector<bool> as_f32_;     // values that somebody reads so
  std::vector<ValueId> narrow_;  // the bf16 form of each value
};

}  // namespace

Program in_precision(const Program& program, Precision precision) {
  if (precision == Precision::f32) return program;
  return ToBf16(program).run();
}

}  // namespace tessera
