// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/rewrites.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "runtime/base/error.hpp"
#include "runtime/base/overloaded.hpp"

namespace tessera {
namespace {

/// Parameters that others are made of, by their new ids; what is not there any more is left out.
void renumber(Parameter& p, const std::vector<std::int32_t>& new_parameter) {
  if (p.input_factors >= 0) p.input_factors = new_parameter[at(p.input_factors)];
  InputFactors made_of;
  for (const InputFactors::Norm& norm : p.made_of.norms) {
    const std::int32_t gamma = new_parameter[at(norm.gamma)], beta = new_parameter[at(norm.beta)];
    if (gamma != kNone && beta != kNone) made_of.norms.push_back({gamma, beta});
  }
  for (const std::int32_t id : p.made_of.matrices) {
    if (new_parameter[at(id)] != kNone) made_of.matrices.push_back(new_parameter[at(id)]);
  }
  p.made_of = std::move(made_of);
}

/// `program` with only the ops in `ops`, and values and parameters renumbered to what they use.
Program compact(const Program& program, std::vector<Op> ops, std::vector<Output> outputs,
                KeepParameters keep = KeepParameters::used) {
  Program result{.inputs = program.inputs,
                 .spaces = program.spaces,
                 .parameters = {},
                 .values = {},
                 .ops = std::move(ops),
                 .outputs = std::move(outputs),
                 .rotations = program.rotations};
  std::vector<std::int32_t> new_value(program.values.size(), kNone),
      new_parameter(program.parameters.size(), kNone);
  const auto value = [&](auto /*reads or writes*/, ValueId& id) {
    std::int32_t& to = new_value[at(id)];
    if (to == kNone) {
      to = static_cast<std::int32_t>(result.values.size());
      result.values.push_back(program.values[at(id)]);
    }
    id = to;
  };
  const auto parameter = [&](Uses, ParameterId& id) {
    if (keep == KeepParameters::all) return;
    std::int32_t& to = new_parameter[at(id)];
    if (to == kNone) to = result.add_parameter(program.parameters[at(id)]);
    id = to;
  };
  for (Op& op : result.ops) for_each_operand(op, Overloaded{value, parameter});
  if (keep == KeepParameters::all) result.parameters = program.parameters;
  if (keep == KeepParameters::used) {
    for (Parameter& p : result.parameters) renumber(p, new_parameter);
  }
  for (Output& output : result.outputs) output.value = new_value[at(output.value)];
  return result;
}

/// The linear that writes `value`, if that value has no other reader and the epilogue slot is free.
class EpilogueFusion {
 public:
  explicit EpilogueFusion(const Program& program)
      : program_(program),
        ops_(program.ops),
        dead_(ops_.size(), false),
        uses_(count_uses(program)),
        writer_(find_writers(program)) {}

  Program run() {
    // A layer norm takes its add first: that moves the same bytes as a linear that adds. What is
    // left (pre-norm residual streams) goes to the linears.
    for (Op& op : ops_) {
      auto* norm = std::get_if<LayerNormOp>(&op);
      if (norm != nullptr && norm->residual == kNone) take_add(*norm);
    }
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      if (dead_[i]) continue;
      if (const auto* activation = std::get_if<ActivationOp>(&ops_[i])) {
        take_activation(i, *activation);
      } else if (const auto* add = std::get_if<AddOp>(&ops_[i])) {
        if (add->scale != 1.0F || add->first != 0) continue;
        if (!take_residual(i, add->a, add->b)) take_residual(i, add->b, add->a);
      }
    }
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      const auto* norm = dead_[i] ? nullptr : std::get_if<LayerNormOp>(&ops_[i]);
      if (norm != nullptr) take_norm(i, *norm);
    }
    std::vector<Op> kept;
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      if (!dead_[i]) kept.push_back(ops_[i]);
    }
    return compact(program_, std::move(kept), program_.outputs);
  }

 private:
  LinearOp* sole_linear(ValueId value) {
    if (uses_[at(value)] != 1 || writer_[at(value)] == kNone) return nullptr;
    return std::get_if<LinearOp>(&ops_[at(writer_[at(value)])]);
  }

  void take_activation(std::size_t i, const ActivationOp& activation) {
    LinearOp* linear = sole_linear(activation.in);
    if (linear == nullptr || linear->activation != Activation::none || linear->residual != kNone ||
        linear->norm)
      return;
    linear->activation = activation.activation;
    replace_output(*linear, i, activation.out);
  }

  // out = linear(…) + residual; the residual must exist before the linear runs.
  bool take_residual(std::size_t i, ValueId product, ValueId residual) {
    LinearOp* linear = sole_linear(product);
    if (linear == nullptr || linear->residual != kNone ||
        writer_[at(residual)] >= writer_[at(product)])
      return false;
    const ValueId out = output_of(ops_[i]);
    linear->residual = residual;
    replace_output(*linear, i, out);
    return true;
  }

  void take_add(LayerNormOp& norm) {
    if (uses_[at(norm.in)] != 1 || writer_[at(norm.in)] == kNone) return;
    const std::int32_t writer = writer_[at(norm.in)];
    const auto* add = std::get_if<AddOp>(&ops_[at(writer)]);
    if (add == nullptr || add->scale != 1.0F || add->first != 0) return;
    dead_[at(writer)] = true;
    norm.residual = add->b;
    norm.in = add->a;
  }

  // A layer norm over what a linear writes, and over a residual that exists before the linear runs.
  void take_norm(std::size_t i, const LayerNormOp& norm) {
    if (norm.residual == norm.in) return;
    const auto take = [&](ValueId product, ValueId residual) {
      LinearOp* linear = sole_linear(product);
      if (linear == nullptr || linear->norm || linear->residual != kNone) return false;
      if (residual != kNone && writer_[at(residual)] >= writer_[at(product)]) return false;
      const NormEpilogue epilogue{norm.gamma, norm.beta, norm.eps, norm.of_squares};
      const ValueId out = norm.out;
      linear->residual = residual;
      linear->norm = epilogue;
      replace_output(*linear, i, out);
      return true;
    };
    if (take(norm.in, norm.residual)) return;
    if (norm.residual != kNone) take(norm.residual, norm.in);
  }

  // The op at i disappears: the linear writes its output in its place.
  void replace_output(LinearOp& linear, std::size_t i, ValueId out) {
    const std::int32_t at_linear = writer_[at(linear.out)];
    linear.out = out;
    writer_[at(out)] = at_linear;
    dead_[i] = true;
  }

  const Program& program_;
  std::vector<Op> ops_;
  std::vector<bool> dead_;
  std::vector<int> uses_;
  std::vector<std::int32_t> writer_;
};

}  // namespace

Program keep_outputs(const Program& program, std::span<const std::string> names,
                     KeepParameters keep) {
  std::vector<Output> outputs;
  for (const std::string& name : names) {
    const std::int32_t found = program.find_output(name);
    if (found == kNone) {
      std::vector<std::string> known;
      for (const Output& output : program.outputs) known.push_back(output.name);
      throw Error(ErrorCode::not_found,
                  fmt::format("outputs: the model has no output \"{}\", expected one of {}", name,
                              fmt::join(known, ", ")));
    }
    outputs.push_back(program.outputs[at(found)]);
  }
  std::vector<bool> needed(program.values.size(), false);
  for (const Output& output : outputs) needed[at(output.value)] = true;
  std::vector<Op> ops;
  for (auto op = program.ops.rbegin(); op != program.ops.rend(); ++op) {
    if (!needed[at(output_of(*op))]) continue;
    for (const ValueId in : inputs_of(*op)) needed[at(in)] = true;
    ops.push_back(*op);
  }
  std::reverse(ops.begin(), ops.end());
  return compact(program, std::move(ops), std::move(outputs), keep);
}

Program fuse_epilogues(const Program& program) {
  return EpilogueFusion(program).run();
}

}  // namespace tessera
