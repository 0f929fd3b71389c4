// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/overloaded.hpp"
#include "runtime/program/rewrites.hpp"

namespace tessera {
namespace {

class ToBf16 {
 public:
  ToBf16(const Program& program, bool attention)
      : result_(program),
        attention_(attention),
        is_read_(program.values.size(), false),
        pools_(program.parameters.size(), false),
        stays_(program.parameters.size(), false),
        as_f32_(program.values.size(), false),
        wanted_(program.values.size(), false),
        steep_(program.values.size(), false),
        narrow_(program.values.size(), kNone) {
    for (const Op& op : result_.ops) {
      for (const ValueId in : inputs_of(op)) is_read_[at(in)] = true;
      if (const auto* pooled = std::get_if<PooledLinearOp>(&op)) pools_[at(pooled->weight)] = true;
      const auto* rotate = std::get_if<RotateOp>(&op);
      if (rotate != nullptr && rotate->q.gamma != kNone) {
        steep_[at(rotate->out)] = program.parameters[at(rotate->q.gamma)].repeats > 0;
      }
    }
    for (const Op& op : result_.ops) {
      if (may_change(op)) continue;
      for (const ParameterId id : parameters_of(op)) stays_[at(id)] = true;
    }
  }

  Program run() {
    for (const Op& op : result_.ops) {
      if (may_attend(op) || moves_rows(op)) continue;
      if (!changes(op)) {
        for (const ValueId in : inputs_of(op)) as_f32_[at(in)] = true;
        continue;
      }
      wanted_[at(product_in(op))] = true;
      const auto* linear = std::get_if<LinearOp>(&op);
      if (linear != nullptr && linear->residual != kNone) as_f32_[at(linear->residual)] = true;
    }
    for (const Output& output : result_.outputs) as_f32_[at(output.value)] = true;
    // Those who read a value come behind it: what they want is known before what it wants itself.
    for (auto op = result_.ops.rbegin(); op != result_.ops.rend(); ++op) {
      if (!may_attend(*op) && !moves_rows(*op)) continue;
      std::vector<bool>& form = attends(*op) || moves_bf16(*op) ? wanted_ : as_f32_;
      for (const ValueId in : inputs_of(*op)) form[at(in)] = true;
    }

    std::vector<Op> ops;
    for (Op op : result_.ops) {
      const ValueId out = output_of(op);
      const bool writes = writes_bf16(op);  // itself
      change(op);
      ops.push_back(op);
      if (!wanted_[at(out)]) continue;
      if (writes) {
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
  /// A linear over tokens, also one that is pooled; not the last one of a head, whose result is an output
  /// that no op reads, but where one that is pooled has its weights.
  bool may_change(const Op& op) const {
    if (std::holds_alternative<PooledLinearOp>(op)) return true;
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr || result_.values[at(linear->out)].space == kSequences) return false;
    return is_read_[at(linear->out)] || pools_[at(linear->weight)] || linear->norm ||
           linear->residual != kNone;
  }
  /// Matrices that any other op uses stay as they are.
  bool changes(const Op& op) const { return may_change(op) && !stays_[at(product_weight(op))]; }
  static ParameterId product_weight(const Op& op) {
    const auto* pooled = std::get_if<PooledLinearOp>(&op);
    return pooled != nullptr ? pooled->weight : std::get<LinearOp>(op).weight;
  }
  static ValueId product_in(const Op& op) {
    const auto* pooled = std::get_if<PooledLinearOp>(&op);
    return pooled != nullptr ? pooled->in : std::get<LinearOp>(op).in;
  }

  bool may_attend(const Op& op) const {
    const auto* attention = std::get_if<AttentionOp>(&op);
    const TokenSpec* tokens = result_.tokens();
    if (tokens != nullptr && tokens->masked_rows == MaskedRows::see_all) return false;
    return attention_ && attention != nullptr && attention->head_dim % 2 == 0 &&
           !std::holds_alternative<Disentangled>(attention->position) &&
           !steep_[at(attention->q.value)];
  }
  /// Computes nothing: rows of bf16 do as well.
  static bool moves_rows(const Op& op) {
    return std::holds_alternative<WindowRowsOp>(op) || std::holds_alternative<MergeCellsOp>(op);
  }
  bool moves_bf16(const Op& op) const {
    return moves_rows(op) && wanted_[at(output_of(op))] && !as_f32_[at(output_of(op))];
  }
  /// Nobody needs its result as f32.
  bool attends(const Op& op) const {
    return may_attend(op) && wanted_[at(output_of(op))] && !as_f32_[at(output_of(op))];
  }
  bool writes_bf16(const Op& op) const {
    if (attends(op) || moves_bf16(op)) return true;
    const auto* linear = std::get_if<LinearOp>(&op);
    return linear != nullptr && !linear->norm && !as_f32_[at(linear->out)];
  }
  void change(Op& op) {
    if (changes(op)) {
      result_.parameters[at(product_weight(op))].precision = Precision::bf16;
      auto* pooled = std::get_if<PooledLinearOp>(&op);
      ValueId& in = pooled != nullptr ? pooled->in : std::get<LinearOp>(op).in;
      in = narrow_[at(in)];
    } else if (moves_bf16(op)) {
      for_each_operand(op, Overloaded{[&](Reads, ValueId& id) { id = narrow_[at(id)]; },
                                      [](auto, std::int32_t&) {}});
    } else if (attends(op)) {
      auto& attention = std::get<AttentionOp>(op);
      attention.precision = Precision::bf16;
      for (Slice* slice : {&attention.q, &attention.k, &attention.v}) {
        slice->value = narrow_[at(slice->value)];
      }
    }
  }

  Program result_;
  bool attention_;
  std::vector<bool> is_read_;    // values, by an op
  std::vector<bool> pools_;      // parameters, of a linear that is pooled
  std::vector<bool> stays_;      // parameters
  std::vector<bool> as_f32_;     // values that somebody reads so
  std::vector<bool> wanted_;     // values that somebody reads in bf16
  std::vector<bool> steep_;      // cosines times up to 100 (Swin V2): a score in bf16 is off by 0.2
  std::vector<ValueId> narrow_;  // the bf16 form of each value
};

}  // namespace

Program in_precision(const Program& program, Precision precision, bool attention) {
  if (precision == Precision::f32) return program;
  return ToBf16(program, attention).run();
}

}  // namespace tessera
