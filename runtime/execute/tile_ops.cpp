// SPDX-License-Identifier: Apache-2.0
#include "runtime/execute/tile_ops.hpp"

#include <algorithm>

namespace tessera::execute {

Turn turn_of_row(const Context& context, const RotateOp& op, Index i, float* beyond) noexcept {
  if (op.rotation == kNone) return {};
  return context.rotations[at(op.rotation)].turn(
      context.program.rotations[at(op.rotation)], context.positions[static_cast<std::size_t>(i)],
      context.lengths.empty() ? 0 : context.lengths[static_cast<std::size_t>(i)], beyond);
}

void turn_heads(const Context& context, const RotateOp& op, const Turn& turn, Range columns,
                float* x) noexcept {
  const Index d = op.head_dim;
  const bool neighbours =
      op.rotation != kNone && context.program.rotations[at(op.rotation)].neighbours;
  for (const Heads* heads : {&op.q, &op.k}) {
    const LoadedParameter* const gamma =
        heads->gamma == kNone ? nullptr : &context.weights[heads->gamma];
    const Index begin = std::max<Index>(0, ceil_div(columns.begin - heads->first, d)),
                end = std::min(heads->count, (columns.end - heads->first) / d);
    // Heads of one gamma together; with one for each, one by one.
    const bool one_each = gamma != nullptr && gamma->rows > d;
    const Index together = one_each ? 1 : end - begin;
    for (Index h = begin; h < end; h += together) {
      context.kernels.rotate_heads(
          {.x = x + heads->first + h * d - columns.begin,
           .heads = together,
           .d = d,
           .gamma = gamma == nullptr ? nullptr : gamma->data + (one_each ? h * d : 0),
           .eps = op.eps,
           .cos = turn.cos,
           .sin = turn.sin,
           .pairs = turn.pairs,
           .neighbours = neighbours});
    }
  }
}

TileOps::TileOps(const Context& context, std::size_t i) noexcept : context_(context) {
  const Index ops = context.schedule[i].tile_ops;
  if (ops == 0) return;
  rotate_ = std::get_if<RotateOp>(&context.program.ops[i + 1]);
  gated_ = std::get_if<GatedOp>(&context.program.ops[i + 1]);
  out_ = written_by(context.program, i, ops);
  is_apart_ = rotate_ == nullptr || ops > 1;
  turn_elements_ = turn_elements(context.program, i, ops);
}

Index TileOps::turn_elements(const Program& program, std::size_t i, Index tile_ops) noexcept {
  const auto* rotate = tile_ops == 0 ? nullptr : std::get_if<RotateOp>(&program.ops[i + 1]);
  return rotate == nullptr ? 0 : (rotate->head_dim + 31) / 32 * 32;
}

void TileOps::OfWorker::put_behind(GemmOperands& o) const noexcept {
  o.behind.self = this;
  o.behind.apart = scratch + ops.turn_elements_;
  o.behind.run = [](const void* self, const GroupProducts& products) noexcept {
    const auto& of_worker = *static_cast<const OfWorker*>(self);
    of_worker.ops.run(products, of_worker.scratch);
  };
}

void TileOps::turn(const GroupProducts& p, float* beyond) const noexcept {
  const Range columns{p.column, p.column + p.columns};
  const auto holds_any = [&](const Heads& heads) {
    return heads.count > 0 && heads.first < columns.end &&
           heads.first + heads.count * rotate_->head_dim > columns.begin;
  };
  if (!holds_any(rotate_->q) && !holds_any(rotate_->k)) return;
  for (Index i = p.rows.begin; i < p.rows.end; ++i) {
    turn_heads(context_, *rotate_, turn_of_row(context_, *rotate_, i, beyond), columns,
               p.c + (i - p.rows.begin) * p.ldc);
  }
}

void TileOps::run(const GroupProducts& p, float* beyond) const noexcept {
  const kernels::KernelTable& kernels = context_.kernels;
  const Index M = p.rows.size();
  if (rotate_ != nullptr) {
    turn(p, beyond);
    if (!is_apart_) return;
  }
  const bool narrows = context_.is_narrow(out_);
  if (gated_ != nullptr) {
    const float *const left = p.c, *const right = p.c + p.to_right;
    float* to = p.c;  // over the left half, where it is narrowed from
    Index ld = p.ldc;
    if (!narrows) {
      const TensorView<float> y = context_.value(out_);
      to = y.data + p.rows.begin * y.stride + p.column, ld = y.stride;
    }
    kernels.gated(gated_->activation, gated_->second ? right : left, gated_->second ? left : right,
                  p.ldc, to, ld, M, p.columns);
  }
  if (!narrows) return;
  const TensorView<std::uint16_t> y = context_.narrow_value(out_);
  kernels.narrow(p.c, p.ldc, y.data + p.rows.begin * y.stride + p.column, y.stride, M, p.columns);
}

}  // namespace tessera::execute
