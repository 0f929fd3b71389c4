// SPDX-License-Identifier: Apache-2.0
//
// first(f(x)) = f(first(x)) for every f that looks at one row at a time: linears, norms,
// activations, sums. What a program reads of one row per sequence alone is then computed for that
// row alone, back to the last op that mixes rows. For a classifier on the class token that is all
// of the last layer but its attention.
#include <algorithm>
#include <optional>

#include "runtime/base/overloaded.hpp"
#include "runtime/program/rewrites.hpp"

namespace tessera {
namespace {

/// Row i of the output depends on row i of the inputs alone.
bool commutes_with_first(const Op& op) {
  return std::holds_alternative<LinearOp>(op) || std::holds_alternative<LayerNormOp>(op) ||
         std::holds_alternative<ActivationOp>(op) || std::holds_alternative<GatedOp>(op) ||
         std::holds_alternative<AddOp>(op) || std::holds_alternative<L2NormalizeOp>(op) ||
         std::holds_alternative<ConcatOp>(op);
}

class EarlyPooling {
 public:
  explicit EarlyPooling(const Program& program)
      : program_(program), rows_(program.values.size()), pooled_(program.values.size(), kNone) {
    find_rows();
  }

  Program run() {
    std::vector<Op> ops;
    for (Op op : program_.ops) {
      const ValueId out = output_of(op);
      if (const auto* pool = std::get_if<PoolOp>(&op); pool != nullptr && moves(pool->in)) {
        pooled_[at(out)] = pool->in;  // `in` is the pooled row by now
        continue;
      }
      const bool moved = moves(out);
      const auto read = [&](Reads, ValueId& id) {
        const ValueId row = pooled_[at(id)];
        const bool dropped = row != kNone && moves(row);  // the output of a pooling that went
        if (dropped || (moved && row != kNone)) id = row;
      };
      for_each_operand(op, Overloaded{read, [](auto, std::int32_t&) {}});
      if (moved) program_.values[at(out)].space = kSequences;
      ops.push_back(op);
      if (!moved && needs_row_[at(out)]) ops.emplace_back(pool_of(out));
    }
    program_.ops = std::move(ops);
    for (Output& output : program_.outputs) {
      const ValueId row = pooled_[at(output.value)];
      if (row != kNone && moves(row)) output.value = row;
    }
    return std::move(program_);
  }

 private:
  /// Is the value one of rows now, and one row per sequence after the rewrite?
  bool moves(ValueId id) const { return rows_[at(id)].has_value(); }

  /// rows_[v]: the one row of v that anybody reads, where v can be computed for that row alone.
  void find_rows() {
    const std::size_t n = program_.values.size();
    std::vector<std::optional<Index>> wanted(n);
    std::vector<bool> whole(n, false);  // somebody reads all rows
    const auto want = [&](ValueId id, Index row) {
      if (wanted[at(id)] && *wanted[at(id)] != row) whole[at(id)] = true;
      wanted[at(id)] = row;
    };
    for (const Output& output : program_.outputs) whole[at(output.value)] = true;
    for (auto op = program_.ops.rbegin(); op != program_.ops.rend(); ++op) {
      const ValueId out = output_of(*op);
      const bool by_rows = program_.values[at(out)].space == kTokens;
      if (by_rows && commutes_with_first(*op) && wanted[at(out)] && !whole[at(out)]) {
        rows_[at(out)] = wanted[at(out)];
      }
      const auto* pool = std::get_if<PoolOp>(&*op);
      const bool is_first = pool != nullptr && pool->pooling == Pooling::first;
      for (const ValueId in : inputs_of(*op)) {
        if (is_first) {
          want(in, pool->skip);
        } else if (rows_[at(out)]) {
          want(in, *rows_[at(out)]);
        } else {
          whole[at(in)] = true;
        }
      }
    }
    // What is left whole is pooled where it is written, for those that read one row of it.
    needs_row_.assign(n, false);
    row_of_.assign(n, 0);
    for (const Op& op : program_.ops) {
      if (!moves(output_of(op))) continue;
      for (const ValueId in : inputs_of(op)) {
        if (moves(in)) continue;
        needs_row_[at(in)] = true;
        row_of_[at(in)] = *rows_[at(output_of(op))];
      }
    }
    // One row of each such value: where two are asked for, nothing moves.
    for (const Op& op : program_.ops) {
      if (!moves(output_of(op))) continue;
      for (const ValueId in : inputs_of(op)) {
        if (!moves(in) && row_of_[at(in)] != *rows_[at(output_of(op))]) {
          std::fill(rows_.begin(), rows_.end(), std::nullopt);
          needs_row_.assign(n, false);
          return;
        }
      }
    }
  }

  PoolOp pool_of(ValueId in) {
    const Value value = program_.values[at(in)];
    const ValueId out = program_.add_value(value.name + ".first", kSequences, value.width);
    pooled_[at(in)] = out;
    pooled_.push_back(kNone);
    rows_.emplace_back();
    needs_row_.push_back(false);
    return {.pooling = Pooling::first, .in = in, .out = out, .skip = row_of_[at(in)]};
  }

  Program program_;
  std::vector<std::optional<Index>> rows_;
  std::vector<ValueId>
      pooled_;  // of a value left whole: its row; of a pooling that went: its input
  std::vector<bool> needs_row_;
  std::vector<Index> row_of_;
};

}  // namespace

Program pool_early(const Program& program) {
  return EarlyPooling(program).run();
}

}  // namespace tessera
