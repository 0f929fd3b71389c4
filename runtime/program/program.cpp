// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/program.hpp"

#include <fmt/format.h>

#include <utility>

#include "runtime/error.hpp"
#include "runtime/overloaded.hpp"
#include "runtime/plan/attention.hpp"

namespace tessera {

ValueId Program::add_value(std::string name, Extent extent, Index width) {
  values.push_back({.name = std::move(name), .extent = extent, .width = width});
  return static_cast<ValueId>(values.size()) - 1;
}

ParameterId Program::add_parameter(Parameter parameter) {
  parameters.push_back(std::move(parameter));
  return static_cast<ParameterId>(parameters.size()) - 1;
}

std::int32_t Program::find_output(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].name == name) return static_cast<std::int32_t>(i);
  }
  return kNone;
}

std::vector<ValueId> inputs_of(const Op& op) {
  const auto with = [](ValueId in, ValueId residual) {
    return residual == kNone ? std::vector{in} : std::vector{in, residual};
  };
  return std::visit(Overloaded{
                        [](const EmbeddingOp&) { return std::vector<ValueId>{}; },
                        [&](const LinearOp& o) { return with(o.in, o.residual); },
                        [](const AttentionOp& o) { return std::vector{o.qkv}; },
                        [&](const LayerNormOp& o) { return with(o.in, o.residual); },
                        [](const ActivationOp& o) { return std::vector{o.in}; },
                        [](const AddOp& o) {
                          return std::vector{o.a, o.b};
                        },
                        [](const PoolOp& o) { return std::vector{o.in}; },
                        [](const L2NormalizeOp& o) { return std::vector{o.in}; },
                        [](const ConcatOp& o) { return o.in; },
                    },
                    op);
}

ValueId output_of(const Op& op) noexcept {
  return std::visit([](const auto& o) { return o.out; }, op);
}

std::vector<ParameterId> parameters_of(const Op& op) {
  std::vector<ParameterId> ids;
  const auto use = [&](ParameterId id) {
    if (id != kNone) ids.push_back(id);
  };
  std::visit(Overloaded{
                 [&](const EmbeddingOp& o) {
                   for (const EmbeddingOp::Term& term : o.terms) use(term.table);
                 },
                 [&](const LinearOp& o) {
                   use(o.weight), use(o.bias);
                   if (o.norm) use(o.norm->gamma), use(o.norm->beta);
                 },
                 [&](const AttentionOp& o) { use(o.bias); },
                 [&](const LayerNormOp& o) { use(o.gamma), use(o.beta); },
                 [](const auto&) {},
             },
             op);
  return ids;
}

const char* name_of(const Op& op) noexcept {
  return std::visit(Overloaded{
                        [](const EmbeddingOp&) { return "embedding"; },
                        [](const LinearOp&) { return "linear"; },
                        [](const AttentionOp&) { return "attention"; },
                        [](const LayerNormOp&) { return "layer_norm"; },
                        [](const ActivationOp&) { return "activation"; },
                        [](const AddOp&) { return "add"; },
                        [](const PoolOp&) { return "pool"; },
                        [](const L2NormalizeOp&) { return "l2_normalize"; },
                        [](const ConcatOp&) { return "concat"; },
                    },
                    op);
}

const char* to_string(Pooling pooling) noexcept {
  switch (pooling) {
    case Pooling::first:
      return "first";
    case Pooling::last:
      return "last";
    case Pooling::mean:
      return "mean";
    case Pooling::max:
      return "max";
    case Pooling::mean_sqrt_len:
      return "mean_sqrt_len";
    case Pooling::weighted_mean:
      return "weighted_mean";
  }
  return "unknown";
}

namespace {

std::string shape_of(const Value& value) {
  return fmt::format("{} ({},{})", value.name, value.extent == Extent::rows ? "rows" : "sequences",
                     value.width);
}

/// Checks one program; every failure is a bug of a model builder, not of a user's file.
class Checker {
 public:
  explicit Checker(const Program& program)
      : program_(program), written_(program.values.size(), false) {}

  void run() {
    for (const Op& op : program_.ops) {
      op_ = &op;
      for (const ValueId in : inputs_of(op)) {
        require(in >= 0 && in < std::ssize(program_.values), "reads a value that does not exist");
        require(written_[static_cast<std::size_t>(in)], "reads a value before it is written");
      }
      for (const ParameterId id : parameters_of(op)) {
        require(id >= 0 && id < std::ssize(program_.parameters),
                "uses a parameter that does not exist");
      }
      const ValueId out = output_of(op);
      require(out >= 0 && out < std::ssize(program_.values), "writes a value that does not exist");
      require(!written_[static_cast<std::size_t>(out)], "writes a value twice");
      std::visit([this](const auto& o) { shapes(o); }, op);
      written_[static_cast<std::size_t>(out)] = true;
    }
    op_ = nullptr;
    for (const Output& output : program_.outputs) {
      require(output.value >= 0 && output.value < std::ssize(program_.values) &&
                  written_[static_cast<std::size_t>(output.value)],
              "an output names a value that no op writes");
    }
  }

 private:
  void require(bool condition, const char* what) const {
    if (condition) return;
    throw Error(
        ErrorCode::internal,
        fmt::format("program: op {} ({}) {}", op_ == nullptr ? "-" : name_of(*op_),
                    op_ == nullptr
                        ? "outputs"
                        : program_.values.at(static_cast<std::size_t>(output_of(*op_))).name,
                    what));
  }
  const Value& value(ValueId id) const { return program_.values[static_cast<std::size_t>(id)]; }
  const Parameter& parameter(ParameterId id) const {
    return program_.parameters[static_cast<std::size_t>(id)];
  }
  Index width(ValueId id) const { return value(id).width; }
  void same_shape(ValueId a, ValueId b) const {
    require(width(a) == width(b) && value(a).extent == value(b).extent,
            "has operands of different shapes");
  }
  void vector_of(ParameterId id, Index n) const {
    if (id == kNone) return;
    require(parameter(id).kind == ParameterKind::vector && parameter(id).rows == n,
            "has a vector of the wrong length");
  }

  void shapes(const EmbeddingOp& o) const {
    require(!o.terms.empty() && o.terms.size() <= 4, "needs 1 to 4 terms");
    for (const EmbeddingOp::Term& term : o.terms) {
      require(parameter(term.table).kind == ParameterKind::table,
              "gathers from a parameter that is no table");
      require(parameter(term.table).cols == width(o.out), "has a table of the wrong width");
    }
    require(value(o.out).extent == Extent::rows, "must write one row per token");
  }
  void shapes(const LinearOp& o) const {
    const Parameter& w = parameter(o.weight);
    require(w.kind == ParameterKind::matrix, "has a weight that is no matrix");
    require(w.rows == width(o.out) && w.cols == width(o.in), "has a weight of the wrong shape");
    require(value(o.in).extent == value(o.out).extent, "changes the number of rows");
    vector_of(o.bias, w.rows);
    if (o.residual != kNone) same_shape(o.residual, o.out);
    if (o.norm) {
      vector_of(o.norm->gamma, w.rows);
      vector_of(o.norm->beta, w.rows);
    }
  }
  void shapes(const AttentionOp& o) const {
    require(o.heads > 0 && o.head_dim > 0, "has no heads");
    if (o.head_dim > kernels::kMaxHeadDim) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("program: attention {}: head size is {}, expected 1 to {}",
                              value(o.out).name, o.head_dim, kernels::kMaxHeadDim));
    }
    check_mask(o.mask, "program: attention " + value(o.out).name);
    require(o.qkv != o.out, "overwrites its own keys");
    require(width(o.qkv) == 3 * o.heads * o.head_dim, "reads a QKV of the wrong width");
    require(width(o.out) == o.heads * o.head_dim, "writes a context of the wrong width");
    require(value(o.qkv).extent == Extent::rows && value(o.out).extent == Extent::rows,
            "needs token rows");
    if (o.bias == kNone) return;
    const Parameter& b = parameter(o.bias);
    require(b.kind == ParameterKind::bias && b.rows == o.heads && b.cols % 2 == 1,
            "has a bias of the wrong shape");
  }
  void shapes(const LayerNormOp& o) const {
    same_shape(o.in, o.out);
    if (o.residual != kNone) same_shape(o.residual, o.out);
    vector_of(o.gamma, width(o.out));
    vector_of(o.beta, width(o.out));
  }
  void shapes(const ActivationOp& o) const { same_shape(o.in, o.out); }
  void shapes(const AddOp& o) const { same_shape(o.a, o.b), same_shape(o.a, o.out); }
  void shapes(const PoolOp& o) const {
    require(value(o.in).extent == Extent::rows && value(o.out).extent == Extent::sequences &&
                width(o.in) == width(o.out),
            "must turn (rows,width) into (sequences,width)");
  }
  void shapes(const L2NormalizeOp& o) const { same_shape(o.in, o.out); }
  void shapes(const ConcatOp& o) const {
    Index total = 0;
    for (const ValueId in : o.in) {
      total += width(in);
      require(value(in).extent == value(o.out).extent, "joins values with different rows");
    }
    require(!o.in.empty() && total == width(o.out), "has widths that do not add up");
  }

  const Program& program_;
  std::vector<bool> written_;
  const Op* op_ = nullptr;
};

}  // namespace

void check(const Program& program) {
  Checker(program).run();
}

std::string to_string(const Program& program) {
  const auto value = [&](ValueId id) {
    return shape_of(program.values[static_cast<std::size_t>(id)]);
  };
  const auto parameter = [&](ParameterId id) {
    const Parameter& p = program.parameters[static_cast<std::size_t>(id)];
    return fmt::format("{} ({},{})", p.name, p.rows, p.cols);
  };
  const auto plus = [&](ValueId id) { return id == kNone ? std::string() : " + " + value(id); };
  std::string text;
  for (const Op& op : program.ops) {
    const std::string right = std::visit(
        Overloaded{
            [&](const EmbeddingOp& o) {
              std::string sum;
              for (const EmbeddingOp::Term& term : o.terms) {
                sum += (sum.empty() ? "" : " + ") + parameter(term.table);
              }
              return sum;
            },
            [&](const LinearOp& o) {
              std::string product = fmt::format("{} * {}{}", value(o.in), parameter(o.weight),
                                                o.bias == kNone ? "" : " + bias");
              if (o.activation != Activation::none)
                product = fmt::format("{}({})", to_string(o.activation), product);
              product += plus(o.residual);
              return o.norm ? fmt::format("layer_norm({})", product) : product;
            },
            [&](const AttentionOp& o) {
              return fmt::format("{} heads of {} over {}{}{}{}", o.heads, o.head_dim, value(o.qkv),
                                 o.bias == kNone ? "" : " + " + parameter(o.bias),
                                 o.mask == kernels::AttentionMask{} ? "" : ", " + to_string(o.mask),
                                 o.alibi ? ", alibi" : "");
            },
            [&](const LayerNormOp& o) { return value(o.in) + plus(o.residual); },
            [&](const ActivationOp& o) {
              return fmt::format("{}({})", to_string(o.activation), value(o.in));
            },
            [&](const AddOp& o) { return value(o.a) + plus(o.b); },
            [&](const PoolOp& o) {
              return fmt::format("{} of {}", to_string(o.pooling), value(o.in));
            },
            [&](const L2NormalizeOp& o) { return value(o.in); },
            [&](const ConcatOp& o) {
              std::string list;
              for (const ValueId in : o.in) list += (list.empty() ? "" : " | ") + value(in);
              return list;
            },
        },
        op);
    text += fmt::format("{:<12} {} = {}\n", name_of(op), value(output_of(op)), right);
  }
  return text;
}

}  // namespace tessera
