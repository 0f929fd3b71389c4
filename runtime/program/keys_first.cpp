// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/keys_first.hpp"

#include <algorithm>
#include <optional>

#include "runtime/base/overloaded.hpp"
#include "runtime/program/rewrites.hpp"

namespace tessera {
namespace {

class KeysFirst {
 public:
  KeysFirst(const Program& program, const std::function<Index(Precision)>& panel)
      : program_(program),
        result_(program),
        panel_(panel),
        writer_(find_writers(program)),
        uses_(count_uses(program)) {}

  Program run() {
    std::vector<std::optional<Branches>> at_op(program_.ops.size());  // in the place of that linear
    std::vector<bool> dropped(program_.ops.size(), false);
    for (std::size_t i = 0; i < program_.ops.size(); ++i) {
      const auto* attention = std::get_if<AttentionOp>(&program_.ops[i]);
      if (attention == nullptr) continue;
      std::optional<Source> source = source_of(*attention);
      if (!source) continue;
      for (const std::size_t op : source->ops) dropped[op] = true;
      at_op[source->linear] = split(*source, std::get<AttentionOp>(result_.ops[i]));
    }
    std::vector<Op> ops;
    for (std::size_t i = 0; i < program_.ops.size(); ++i) {
      if (at_op[i]) {
        ops.insert(ops.end(), at_op[i]->keys.begin(), at_op[i]->keys.end());
        ops.insert(ops.end(), at_op[i]->queries.begin(), at_op[i]->queries.end());
      }
      if (!dropped[i]) ops.push_back(result_.ops[i]);
    }
    result_.ops = std::move(ops);
    std::vector<std::string> outputs;
    for (const Output& output : result_.outputs) outputs.push_back(output.name);
    return keep_outputs(result_, outputs, KeepParameters::all);  // without the values of before
  }

 private:
  /// The ops that make Q, K and V out of a value that others read, too.
  struct Source {
    std::vector<std::size_t> ops;  // in order
    std::size_t linear = 0;        // one of them
    Index columns = 0;             // of Q
  };
  struct Branches {
    std::vector<Op> keys, queries;
  };

  template <class T>
  const T* op_at(std::int32_t i) const {
    return i == kNone ? nullptr : std::get_if<T>(&program_.ops[at(i)]);
  }
  /// The op that writes `value`, if another one alone reads it.
  std::int32_t sole(ValueId value) const {
    return uses_[at(value)] == 1 ? writer_[at(value)] : kNone;
  }

  std::optional<Source> source_of(const AttentionOp& a) const {
    const ValueId qkv = a.q.value;
    const Index Q = a.heads * a.head_dim, K = a.kv_heads * a.head_dim;
    if (a.k.value != qkv || a.v.value != qkv || a.q.first != 0 || a.k.first != Q ||
        a.v.first != Q + K || program_.values[at(qkv)].width != Q + 2 * K ||
        program_.values[at(qkv)].space != kTokens) {
      return {};
    }
    Source source{.ops = {}, .columns = Q};
    std::int32_t i = sole(qkv);
    const auto take = [&](ValueId in) {
      source.ops.insert(source.ops.begin(), at(i));
      i = sole(in);
    };
    if (const auto* narrow = op_at<NarrowOp>(i)) take(narrow->in);
    if (const auto* rotate = op_at<RotateOp>(i)) {
      if (rotate->q.first != 0 || (rotate->k.count > 0 && rotate->k.first != Q)) return {};
      take(rotate->in);
    }
    const auto* linear = op_at<LinearOp>(i);
    if (linear == nullptr || linear->residual != kNone || linear->norm || linear->first_row ||
        Q % panel_(program_.parameters[at(linear->weight)].precision) != 0) {
      return {};
    }
    source.linear = at(i);
    take(linear->in);
    // What is computed of a row before the product, for it alone.
    while (i != kNone) {
      if (const auto* narrow = op_at<NarrowOp>(i)) {
        take(narrow->in);
      } else if (const auto* norm = op_at<LayerNormOp>(i);
                 norm != nullptr && norm->residual == kNone) {
        take(norm->in);
      } else {
        break;
      }
    }
    return source;
  }

  /// Columns [first, first + width) of the values behind the linear, and whole rows before it.
  std::vector<Op> branch(const Source& source, const char* suffix, Index first, Index width) {
    std::vector<Op> ops;
    ValueId last = kNone;  // what the op before wrote
    bool is_part = false;
    for (const std::size_t i : source.ops) {
      Op op = program_.ops[i];
      is_part = is_part || i == source.linear;
      const Value out = program_.values[at(output_of(op))];
      const ValueId renamed =
          result_.add_value(out.name + suffix, out.space, is_part ? width : out.width, out.type);
      for_each_operand(
          op, Overloaded{[&](Reads, ValueId& id) { id = last == kNone ? id : last; },
                         [&](Writes, ValueId& id) { id = renamed; }, [](Uses, ParameterId) {}});
      if (auto* linear = std::get_if<LinearOp>(&op)) linear->first_row = first;
      if (auto* rotate = std::get_if<RotateOp>(&op)) {
        if (first == 0) {
          rotate->k = {};
        } else {
          rotate->q = {};
          rotate->k.first = 0;
        }
      }
      last = renamed;
      ops.push_back(std::move(op));
    }
    return ops;
  }

  Branches split(const Source& source, AttentionOp& attention) {
    const Index Q = source.columns, K = attention.kv_heads * attention.head_dim;
    Branches branches{.keys = branch(source, ".kv", Q, 2 * K),
                      .queries = branch(source, ".q", 0, Q)};
    attention.q = {output_of(branches.queries.back()), 0};
    attention.k = {output_of(branches.keys.back()), 0};
    attention.v = {attention.k.value, K};
    return branches;
  }

  const Program& program_;
  Program result_;
  const std::function<Index(Precision)>& panel_;
  std::vector<std::int32_t> writer_;  // by value
  std::vector<int> uses_;
};

}  // namespace

bool is_keys_first(const Program& program) noexcept {
  return std::any_of(program.ops.begin(), program.ops.end(), [](const Op& op) {
    const auto* linear = std::get_if<LinearOp>(&op);
    return linear != nullptr && linear->first_row.has_value();
  });
}

Program keys_first(const Program& program, const std::function<Index(Precision)>& panel) {
  return KeysFirst(program, panel).run();
}

}  // namespace tessera
