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

/// What an op multiplies by matrices.
struct Products {
  std::vector<ParameterId> matrices;  ///< of one precision
  ValueId in = kNone;                 ///< kNone: rows that the op gathers itself, and rounds
};

constexpr Index kLeastGathered = 64;  // elements of a row: rounding fewer costs what products save

Products products_of(const Op& op) {
  const auto gathered = [](ParameterId weight) { return Products{.matrices = {weight}}; };
  return std::visit(Overloaded{[](const LinearOp& o) {
                                 return Products{{o.weight}, o.in};
                               },
                               [](const PooledLinearOp& o) {
                                 return Products{{o.weight}, o.in};
                               },
                               [](const ExpertsOp& o) {
                                 Products all{o.up, o.in};
                                 all.matrices.insert(all.matrices.end(), o.down.begin(),
                                                     o.down.end());
                                 return all;
                               },
                               [&](const PatchEmbedOp& o) { return gathered(o.weight); },
                               [&](const ConvolutionOp& o) { return gathered(o.weight); },
                               [&](const GridConvolutionOp& o) { return gathered(o.weight); },
                               [](const auto&) { return Products{}; }},
                    op);
}

/// The input of the products, to be changed.
ValueId* product_in(Op& op) {
  return std::visit(
      Overloaded{[](LinearOp& o) { return &o.in; }, [](PooledLinearOp& o) { return &o.in; },
                 [](ExpertsOp& o) { return &o.in; },
                 [](auto&) { return static_cast<ValueId*>(nullptr); }},
      op);
}

class ToPrecision {
 public:
  ToPrecision(const Program& program, const PrecisionRewrite& rewrite)
      : result_(program),
        rewrite_(rewrite),
        is_read_(program.values.size(), false),
        chooses_(program.values.size(), false),
        pools_(program.parameters.size(), false),
        uses_(program.parameters.size(), 0),
        stays_(program.parameters.size(), false),
        as_f32_(program.values.size(), false),
        steep_(program.values.size(), false) {
    for (auto& wanted : wanted_) wanted.resize(program.values.size(), false);
    for (auto& narrow : narrow_) narrow.resize(program.values.size(), kNone);
    for (const Op& op : result_.ops) {
      for (const ValueId in : inputs_of(op)) is_read_[at(in)] = true;
      for (const ParameterId id : parameters_of(op)) ++uses_[at(id)];
      if (const auto* experts = std::get_if<ExpertsOp>(&op)) chooses_[at(experts->scores)] = true;
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
      const Products products = products_of(op);
      const bool has_form = changes(op) && products.in != kNone;
      std::vector<ValueId> others = inputs_of(op);  // what it adds may be what it multiplies
      if (has_form) others.erase(std::find(others.begin(), others.end(), products.in));
      for (const ValueId in : others) as_f32_[at(in)] = true;
      if (!has_form) continue;
      wanted_[form_of(op)][at(products.in)] = true;
      if (form_of(op) != kWhole) continue;
      const auto* experts = std::get_if<ExpertsOp>(&op);  // whose second factor is no value
      for (const ParameterId matrix : experts == nullptr ? products.matrices : experts->up) {
        whole.push_back({products.in, matrix});
      }
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
      } else if (writes_whole(op)) {
        result_.values[at(out)].type = rewrite_.quantized;
        narrow_[kWhole][at(out)] = out;
        std::get<LayerNormOp>(ops.back()).factors = factors_[at(out)];
        continue;
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
  /// multiply one row of each sequence: the network was trained with rows of whole numbers. Not what
  /// chooses experts. Experts are linears here, and so are patches and convolutions of long enough rows.
  bool may_change(const Op& op) const {
    const Products products = products_of(op);
    if (products.matrices.empty()) return false;
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr) {
      const Parameter& first = result_.parameters[at(products.matrices.front())];
      return products.in != kNone || first.cols >= kLeastGathered;
    }
    const bool is_ternary =
        rewrite_.precision == Precision::s8 && result_.parameters[at(linear->weight)].is_ternary;
    if (result_.values[at(linear->out)].space == kSequences && !is_ternary) return false;
    if (chooses_[at(linear->out)]) return false;
    return is_read_[at(linear->out)] || pools_[at(linear->weight)] || linear->norm ||
           linear->residual != kNone;
  }
  /// Matrices that any other op uses stay as they are.
  bool changes(const Op& op) const { return may_change(op) && precision_of(op) != Precision::f32; }
  Precision precision_of(const Op& op) const {
    return result_.parameters[at(products_of(op).matrices.front())].precision;
  }
  Form form_of(const Op& op) const { return is_integer(precision_of(op)) ? kWhole : kHalf; }
  /// The precision of every weight.
  void choose_weights() {
    const bool whole = rewrite_.precision == Precision::s8;
    const Precision rest =
        whole && !rewrite_.attention ? Precision::f32 : Precision::bf16;  // what is not s8
    std::vector<bool> is_named(rewrite_.keep.size(), false);
    const auto is_kept = [&](ParameterId id) {
      const Parameter& weight = result_.parameters[at(id)];
      const auto kept = std::find(rewrite_.keep.begin(), rewrite_.keep.end(), weight.name);
      const bool is_named_here = kept != rewrite_.keep.end();
      if (is_named_here) is_named[static_cast<std::size_t>(kept - rewrite_.keep.begin())] = true;
      return is_named_here || weight.keeps_floats || pools_[at(id)];
    };
    for (const Op& op : result_.ops) {
      if (!may_change(op)) continue;
      const Products products = products_of(op);
      const std::vector<ParameterId>& matrices = products.matrices;
      const auto stays = [&](ParameterId id) { return stays_[at(id)]; };
      if (std::any_of(matrices.begin(), matrices.end(), stays)) continue;
      // Rows that the op gathers are rounded as they come; of several matrices one decides for all.
      bool quantizes = whole && products.in != kNone;
      for (const ParameterId id : matrices) quantizes = !is_kept(id) && quantizes;
      for (const ParameterId id : matrices) {
        Parameter& weight = result_.parameters[at(id)];
        if (quantizes) require_depth(weight);
        weight.precision = !quantizes ? rest
                           : rewrite_.ternary && weight.is_ternary && matrices.size() == 1
                               ? Precision::ternary
                               : Precision::s8;
        weight.clips = (rewrite_.clips || weight.clips) && weight.precision == Precision::s8;
      }
    }
    const auto unknown = std::find(is_named.begin(), is_named.end(), false);
    if (!whole || unknown == is_named.end()) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("weights that are not quantised: no linear over tokens has the weight "
                            "\"{}\"",
                            rewrite_.keep[static_cast<std::size_t>(unknown - is_named.begin())]));
  }
  static void require_depth(const Parameter& weight) {
    if (weight.cols <= kernels::kMostIntegerDepth) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("parameter \"{}\": a sum of {} products of 8-bit numbers may leave 32 "
                            "bits, expected at most {}: compute this model in bf16 or fp32",
                            weight.name, weight.cols, kernels::kMostIntegerDepth));
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
  bool may_attend(const Op& op) const {
    const auto* attention = std::get_if<AttentionOp>(&op);
    return rewrite_.attention && attention != nullptr && attention->head_dim % 2 == 0 &&
           !shares_distances(*attention) && !steep_[at(attention->q.value)];
  }
  /// With another attention, which may stay f32.
  bool shares_distances(const AttentionOp& op) const {
    const auto* terms = std::get_if<Disentangled>(&op.position);
    const auto is_shared = [&](ParameterId id) { return id != kNone && uses_[at(id)] > 1; };
    return terms != nullptr && (is_shared(terms->key) || is_shared(terms->query));
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
  /// A norm whose row nobody needs but in this form writes it so.
  bool is_norm_of(const Op& op, Form form) const {
    const std::size_t out = at(output_of(op));
    return std::holds_alternative<LayerNormOp>(op) && wanted_[form][out] && !as_f32_[out] &&
           !wanted_[form == kHalf ? kWhole : kHalf][out];
  }
  bool writes_whole(const Op& op) const { return is_norm_of(op, kWhole); }
  bool writes_bf16(const Op& op) const {
    if (attends(op) || moves_bf16(op) || is_norm_of(op, kHalf)) return true;
    const auto* linear = std::get_if<LinearOp>(&op);
    return linear != nullptr && !linear->norm && wanted_[kHalf][at(linear->out)] &&
           !as_f32_[at(linear->out)];
  }
  void change(Op& op) {
    if (changes(op)) {
      ValueId* const in = product_in(op);
      if (in != nullptr) *in = narrow_[form_of(op)][at(*in)];
    } else if (moves_bf16(op)) {
      for_each_operand(op, Overloaded{[&](Reads, ValueId& id) { id = narrow_[kHalf][at(id)]; },
                                      [](auto, std::int32_t&) {}});
    } else if (attends(op)) {
      auto& attention = std::get<AttentionOp>(op);
      attention.precision = Precision::bf16;
      for (Slice* slice : {&attention.q, &attention.k, &attention.v}) {
        slice->value = narrow_[kHalf][at(slice->value)];
      }
      if (const auto* terms = std::get_if<Disentangled>(&attention.position)) {
        for (const ParameterId id : {terms->key, terms->query}) {
          if (id != kNone) result_.parameters[at(id)].precision = Precision::bf16;
        }
      }
    }
  }

  Program result_;
  const PrecisionRewrite& rewrite_;
  std::vector<bool> is_read_;  // values, by an op
  std::vector<bool> chooses_;  // values: scores of experts, where a rounding may choose another one
  std::vector<bool> pools_;    // parameters, of a linear that is pooled
  std::vector<int> uses_;      // of parameters, by ops
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
