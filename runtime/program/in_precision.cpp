// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "kernels/gemm/gemm.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/overloaded.hpp"
#include "runtime/program/input_factors.hpp"
#include "runtime/program/rewrites.hpp"

namespace tessera {
namespace {

/// A form of a value besides f32.
enum Form : std::size_t { kHalf, kWhole, kForms };  // bf16, whole numbers

class ToPrecision {
 public:
  ToPrecision(const Program& program, const PrecisionRewrite& rewrite)
      : result_(program),
        rewrite_(rewrite),
        is_read_(program.values.size(), false),
        pools_(program.parameters.size(), false),
        stays_(program.parameters.size(), false),
        as_f32_(program.values.size(), false),
        steep_(program.values.size(), false) {
    for (auto& wanted : wanted_) wanted.resize(program.values.size(), false);
    for (auto& narrow : narrow_) narrow.resize(program.values.size(), kNone);
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
    choose_weights();
  }

  Program run() {
    std::vector<WholeProduct> whole;
    for (const Op& op : result_.ops) {
      if (may_attend(op) || moves_rows(op)) continue;
      if (!changes(op)) {
        for (const ValueId in : inputs_of(op)) as_f32_[at(in)] = true;
        continue;
      }
      wanted_[form_of(op)][at(product_in(op))] = true;
      if (form_of(op) == kWhole) whole.push_back({product_in(op), product_weight(op)});
      const auto* linear = std::get_if<LinearOp>(&op);
      if (linear != nullptr && linear->residual != kNone) as_f32_[at(linear->residual)] = true;
    }
    for (const Output& output : result_.outputs) as_f32_[at(output.value)] = true;
    // Those who read a value come behind it: what they want is known before what it wants itself.
    for (auto op = result_.ops.rbegin(); op != result_.ops.rend(); ++op) {
      if (!may_attend(*op) && !moves_rows(*op)) continue;
      std::vector<bool>& form = attends(*op) || moves_bf16(*op) ? wanted_[kHalf] : as_f32_;
      for (const ValueId in : inputs_of(*op)) form[at(in)] = true;
    }

    factors_ = add_input_factors(result_, whole);
    std::vector<Op> ops;
    for (Op op : result_.ops) {
      const ValueId out = output_of(op);
      const bool writes = writes_bf16(op);  // itself
      change(op);
      ops.push_back(op);
      if (writes) {
        result_.values[at(out)].type = DType::bf16;
        narrow_[kHalf][at(out)] = out;
      } else if (wanted_[kHalf][at(out)]) {
        ops.push_back(narrowed(out, kHalf, DType::bf16));
      }
      if (wanted_[kWhole][at(out)]) ops.push_back(narrowed(out, kWhole, rewrite_.quantized));
    }
    result_.ops = std::move(ops);
    return std::move(result_);
  }

 private:
  /// A linear over tokens, also one that is pooled; not the last one of a head, whose result is an output
  /// that no op reads, but where one that is pooled has its weights. Ternary weights also where they
  /// multiply one row of each sequence: the network was trained with rows of whole numbers.
  bool may_change(const Op& op) const {
    if (std::holds_alternative<PooledLinearOp>(op)) return true;
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr) return false;
    const bool is_ternary =
        rewrite_.precision == Precision::s8 && result_.parameters[at(linear->weight)].is_ternary;
    if (result_.values[at(linear->out)].space == kSequences && !is_ternary) return false;
    return is_read_[at(linear->out)] || pools_[at(linear->weight)] || linear->norm ||
           linear->residual != kNone;
  }
  /// Matrices that any other op uses stay as they are.
  bool changes(const Op& op) const {
    return may_change(op) && result_.parameters[at(product_weight(op))].precision != Precision::f32;
  }
  Form form_of(const Op& op) const {
    return is_integer(result_.parameters[at(product_weight(op))].precision) ? kWhole : kHalf;
  }
  /// The precision of every weight.
  void choose_weights() {
    const bool whole = rewrite_.precision == Precision::s8;
    const Precision rest =
        whole && !rewrite_.attention ? Precision::f32 : Precision::bf16;  // what is not s8
    std::vector<bool> is_named(rewrite_.keep.size(), false);
    for (const Op& op : result_.ops) {
      if (!may_change(op) || stays_[at(product_weight(op))]) continue;
      Parameter& weight = result_.parameters[at(product_weight(op))];
      const auto kept = std::find(rewrite_.keep.begin(), rewrite_.keep.end(), weight.name);
      const bool is_named_here = kept != rewrite_.keep.end();
      if (is_named_here) is_named[static_cast<std::size_t>(kept - rewrite_.keep.begin())] = true;
      const bool is_kept = is_named_here || weight.keeps_floats;
      const bool quantizes = whole && !is_kept && !pools_[at(product_weight(op))];
      if (quantizes && weight.cols > kernels::kMostIntegerDepth) {
        throw Error(
            ErrorCode::invalid_argument,
            fmt::format("parameter \"{}\": a sum of {} products of 8-bit numbers may leave 32 "
                        "bits, expected at most {}: compute this model in bf16 or fp32",
                        weight.name, weight.cols, kernels::kMostIntegerDepth));
      }
      weight.precision = !quantizes                              ? rest
                         : rewrite_.ternary && weight.is_ternary ? Precision::ternary
                                                                 : Precision::s8;
      weight.clips = (rewrite_.clips || weight.clips) && weight.precision == Precision::s8;
    }
    const auto unknown = std::find(is_named.begin(), is_named.end(), false);
    if (!whole || unknown == is_named.end()) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("weights that are not quantised: no linear over tokens has the weight "
                            "\"{}\"",
                            rewrite_.keep[static_cast<std::size_t>(unknown - is_named.begin())]));
  }
  /// The op that makes `form` of a value.
  NarrowOp narrowed(ValueId value, Form form, DType type) {
    const Value from = result_.values[at(value)];
    const char* const suffix = form == kHalf ? ".bf16" : ".s8";
    narrow_[form][at(value)] = result_.add_value(from.name + suffix, from.space, from.width, type);
    const ParameterId factors = form == kWhole ? factors_[at(value)] : kNone;
    return {.in = value, .out = narrow_[form][at(value)], .factors = factors};
  }
  bool is_wanted(ValueId value) const {
    return wanted_[kHalf][at(value)] || wanted_[kWhole][at(value)];
  }
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
    return rewrite_.attention && attention != nullptr && attention->head_dim % 2 == 0 &&
           !std::holds_alternative<Disentangled>(attention->position) &&
           !steep_[at(attention->q.value)];
  }
  /// Computes nothing: rows of bf16 do as well.
  static bool moves_rows(const Op& op) {
    return std::holds_alternative<WindowRowsOp>(op) || std::holds_alternative<MergeCellsOp>(op);
  }
  bool moves_bf16(const Op& op) const {
    const ValueId out = output_of(op);
    return moves_rows(op) && wanted_[kHalf][at(out)] && !as_f32_[at(out)];
  }
  /// Nobody needs its result as f32.
  bool attends(const Op& op) const {
    return may_attend(op) && is_wanted(output_of(op)) && !as_f32_[at(output_of(op))];
  }
  bool writes_bf16(const Op& op) const {
    if (attends(op) || moves_bf16(op)) return true;
    const auto* linear = std::get_if<LinearOp>(&op);
    return linear != nullptr && !linear->norm && wanted_[kHalf][at(linear->out)] &&
           !as_f32_[at(linear->out)];
  }
  void change(Op& op) {
    if (changes(op)) {
      auto* pooled = std::get_if<PooledLinearOp>(&op);
      ValueId& in = pooled != nullptr ? pooled->in : std::get<LinearOp>(op).in;
      in = narrow_[form_of(op)][at(in)];
    } else if (moves_bf16(op)) {
      for_each_operand(op, Overloaded{[&](Reads, ValueId& id) { id = narrow_[kHalf][at(id)]; },
                                      [](auto, std::int32_t&) {}});
    } else if (attends(op)) {
      auto& attention = std::get<AttentionOp>(op);
      attention.precision = Precision::bf16;
      for (Slice* slice : {&attention.q, &attention.k, &attention.v}) {
        slice->value = narrow_[kHalf][at(slice->value)];
      }
    }
  }

  Program result_;
  const PrecisionRewrite& rewrite_;
  std::vector<bool> is_read_;  // values, by an op
  std::vector<bool> pools_;    // parameters, of a linear that is pooled
  std::vector<bool> stays_;    // parameters
  std::vector<bool> as_f32_;   // values that somebody reads so
  std::vector<bool> steep_;    // cosines times up to 100 (Swin V2): a score in bf16 is off by 0.2
  std::vector<ParameterId> factors_;     // of each value that is quantised
  std::vector<bool> wanted_[kForms];     // values that somebody reads so
  std::vector<ValueId> narrow_[kForms];  // the form of each value
};

}  // namespace

Program in_precision(const Program& program, const PrecisionRewrite& rewrite) {
  if (rewrite.precision == Precision::f32) return program;
  return ToPrecision(program, rewrite).run();
}

}  // namespace tessera
