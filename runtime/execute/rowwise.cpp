// SPDX-License-Identifier: Apache-2.0
// The ops that look at one row at a time: embedding, layer norm, activation, add, normalise,
// concat. How many rows a task takes is the plan's; which rows share a task changes nothing.
#include <algorithm>
#include <cstring>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/tile_ops.hpp"

namespace tessera::execute {
namespace {

template <class Body>
void for_each_rows(const Context& context, const OpSchedule& schedule, Index rows,
                   Body&& body) noexcept {
  const Index most = schedule.task_rows;
  context.workers.run(ceil_div(rows, most), [&](Index task, int) {
    const Index begin = task * most;
    body(begin, std::min(most, rows - begin));
  });
}

float* at(const TensorView<float>& view, Index row) noexcept {
  return view.data + row * view.stride;
}

/// Rows of f32 or bf16, row stride ld.
struct Rows {
  const void* x;
  DType type;
  Index ld;
};

/// `count` rows as rows `begin` … of `out`: bf16, or whole numbers.
void write_form(const Context& context, ValueId out, ParameterId factors, const Rows& rows,
                Index begin, Index count) noexcept {
  const Value& value = context.program.values[tessera::at(out)];
  const Index ldy = context.stride(out), y_bytes = ldy * size_of(value.type);
  std::byte* const y = context.places[tessera::at(out)] + begin * y_bytes;
  if (!is_quantized(value.type)) {
    return context.kernels.narrow(static_cast<const float*>(rows.x), rows.ld,
                                  reinterpret_cast<std::uint16_t*>(y), ldy, count, value.width);
  }
  context.kernels.quantize({.x = rows.x,
                            .type = rows.type,
                            .ldx = rows.ld,
                            .y = y,
                            .y_bytes = y_bytes,
                            .M = count,
                            .N = value.width,
                            .factors = factors == kNone ? nullptr : context.weights[factors].data});
}

}  // namespace

void run(const Context& context, const EmbeddingOp& op, const OpSchedule& schedule) noexcept {
  const TensorView<float> out = context.value(op.out);
  for_each_rows(context, schedule, out.rows, [&](Index begin, Index count) {
    kernels::EmbeddingTerm terms[4];
    for (std::size_t t = 0; t < op.terms.size(); ++t) {
      const LoadedParameter& table = context.weights[op.terms[t].table];
      const auto& index = op.terms[t].input == TokenInput::ids         ? context.ids
                          : op.terms[t].input == TokenInput::positions ? context.positions
                                                                       : context.types;
      terms[t] = {.table = table.table,
                  .type = table.type,
                  .index = index.empty() ? nullptr : index.data() + begin,
                  .constant = 0,
                  .scales = table.scales};
    }
    context.kernels.embedding(terms, static_cast<Index>(op.terms.size()), at(out, begin),
                              out.stride, count, out.cols);
    if (op.scale == 1.0F) return;
    for (Index i = begin; i < begin + count; ++i) {
      for (Index n = 0; n < out.cols; ++n) at(out, i)[n] *= op.scale;
    }
  });
}

void run(const Context& context, const NarrowOp& op, const OpSchedule& schedule) noexcept {
  const Value& in = context.program.values[tessera::at(op.in)];
  const Index ldx = context.stride(op.in), rows = context.cuts[tessera::at(in.space)].rows;
  for_each_rows(context, schedule, rows, [&](Index begin, Index count) {
    const void* const x = context.places[tessera::at(op.in)] + begin * ldx * size_of(in.type);
    write_form(context, op.out, op.factors, {x, in.type, ldx}, begin, count);
  });
}

void run(const Context& context, const LayerNormOp& op, const OpSchedule& schedule) noexcept {
  const TensorView<float> x = context.value(op.in), y = context.value(op.out);
  const TensorView<float> r =
      op.residual == kNone ? TensorView<float>{} : context.value(op.residual);
  const auto rows_at = [&](Index begin, Index count, float* to, Index ld) {
    return kernels::LayerNormRows{.x = at(x, begin),
                                  .ldx = x.stride,
                                  .residual = r.data == nullptr ? nullptr : at(r, begin),
                                  .ldr = r.stride,
                                  .gamma = context.weights[op.gamma].data,
                                  .beta = context.weights[op.beta].data,
                                  .eps = op.eps,
                                  .y = to,
                                  .ldy = ld,
                                  .M = count,
                                  .N = x.cols,
                                  .of_squares = op.of_squares};
  };
  const DType type = context.program.values[tessera::at(op.out)].type;
  if (type == DType::f32) {
    return for_each_rows(context, schedule, x.rows, [&](Index begin, Index count) {
      context.kernels.layer_norm(rows_at(begin, count, at(y, begin), y.stride));
    });
  }
  if (type == DType::bf16 && op.residual == kNone) {
    const TensorView<std::uint16_t> narrow = context.narrow_value(op.out);
    return for_each_rows(context, schedule, x.rows, [&](Index begin, Index count) {
      kernels::LayerNormRows rows = rows_at(begin, count, nullptr, 0);
      rows.narrow = narrow.data + begin * narrow.stride;
      rows.ldn = narrow.stride;
      context.kernels.layer_norm(rows);
    });
  }
  const Index most = schedule.task_rows;
  context.workers.run(ceil_div(x.rows, most), [&](Index task, int worker) {
    float* const row = context.scratch + worker * context.scratch_stride;
    for (Index i = task * most; i < std::min(x.rows, (task + 1) * most); ++i) {
      context.kernels.layer_norm(rows_at(i, 1, row, x.cols));
      write_form(context, op.out, op.factors, {row, DType::f32, x.cols}, i, 1);
    }
  });
}

void run(const Context& context, const RotateOp& op, const OpSchedule& schedule) noexcept {
  const TensorView<float> x = context.value(op.in), y = context.value(op.out);
  const Index most = schedule.task_rows;
  context.workers.run(ceil_div(y.rows, most), [&](Index task, int worker) {
    float* const beyond = context.scratch + worker * context.scratch_stride;
    for (Index i = task * most; i < std::min(y.rows, (task + 1) * most); ++i) {
      float* const row = at(y, i);
      if (row != at(x, i)) {
        std::memcpy(row, at(x, i), static_cast<std::size_t>(y.cols) * sizeof(float));
      }
      turn_heads(context, op, turn_of_row(context, op, i, beyond), {0, y.cols}, row);
    }
  });
}

void run(const Context& context, const ActivationOp& op, const OpSchedule& schedule) noexcept {
  const TensorView<float> x = context.value(op.in), y = context.value(op.out);
  for_each_rows(context, schedule, y.rows, [&](Index begin, Index count) {
    context.kernels.activation(op.activation, at(x, begin), x.stride, at(y, begin), y.stride, count,
                               y.cols);
  });
}

void run(const Context& context, const GatedOp& op, const OpSchedule& schedule) noexcept {
  const TensorView<float> x = context.value(op.in), y = context.value(op.out);
  for_each_rows(context, schedule, y.rows, [&](Index begin, Index count) {
    const float *const left = at(x, begin), *const right = left + y.cols;
    context.kernels.gated(op.activation, op.second ? right : left, op.second ? left : right,
                          x.stride, at(y, begin), y.stride, count, y.cols);
  });
}

void run(const Context& context, const BroadcastOp& op) noexcept {
  const TensorView<float> y = context.value(op.out);
  for (Index i = 0; i < y.rows; ++i) {
    std::memcpy(at(y, i), context.weights[op.row].data,
                static_cast<std::size_t>(y.cols) * sizeof(float));
  }
}

void run(const Context& context, const AddOp& op, const OpSchedule& schedule) noexcept {
  const TensorView<float> a = context.value(op.a), b = context.value(op.b),
                          y = context.value(op.out);
  for_each_rows(context, schedule, y.rows, [&](Index begin, Index count) {
    context.kernels.add(at(a, begin), a.stride, at(b, begin) + op.first, b.stride, at(y, begin),
                        y.stride, count, y.cols);
    if (op.scale == 1.0F) return;
    for (Index i = begin; i < begin + count; ++i) {
      for (Index n = 0; n < y.cols; ++n) at(y, i)[n] *= op.scale;
    }
  });
}

void run(const Context& context, const L2NormalizeOp& op, const OpSchedule& schedule) noexcept {
  const TensorView<float> x = context.value(op.in), y = context.value(op.out);
  for_each_rows(context, schedule, y.rows, [&](Index begin, Index count) {
    context.kernels.l2_normalize(at(x, begin), x.stride, at(y, begin), y.stride, count, y.cols,
                                 op.eps);
  });
}

void run(const Context& context, const MaskRowsOp& op) noexcept {
  const TensorView<float> x = context.value(op.in), y = context.value(op.out);
  if (x.data != y.data) {
    for (Index i = 0; i < y.rows; ++i) {
      std::memcpy(at(y, i), at(x, i), static_cast<std::size_t>(y.cols) * sizeof(float));
    }
  }
  for (Index s = 0; s < context.sequences; ++s) {
    const Index begin = context.offsets[static_cast<std::size_t>(s)];
    for (Index i = begin; i < begin + context.query_only_rows(s); ++i) {
      std::fill_n(at(y, i), y.cols, 0.0F);
    }
  }
}

void run(const Context& context, const ConcatOp& op) noexcept {
  const TensorView<float> y = context.value(op.out);
  Index column = 0;
  for (const ValueId in : op.in) {
    const TensorView<float> x = context.value(in);
    const Index columns = std::min(x.cols, y.cols - column);
    for (Index i = 0; i < y.rows; ++i) {
      std::memcpy(at(y, i) + column, at(x, i), static_cast<std::size_t>(columns) * sizeof(float));
    }
    column += columns;
  }
}

}  // namespace tessera::execute
