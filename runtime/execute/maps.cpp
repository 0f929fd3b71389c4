// SPDX-License-Identifier: Apache-2.0
//
// Ops on the cells of maps, channel by channel: depthwise convolutions, and factors by image. A task is
// one row of cells, or one image.
#include <algorithm>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/map_rows.hpp"

namespace tessera::execute {
namespace {

/// The map that piece s of a space is.
Grid map_of(const Context& context, SpaceId id, Index s) noexcept {
  const Space& space = context.program.spaces[at(id)];
  if (space.rule == RowRule::grid_windows) return {space.n, space.n};
  return context.cuts[at(id)].grids[static_cast<std::size_t>(s)];
}

}  // namespace

void run(const Context& context, const DepthwiseOp& op) noexcept {
  const SpaceId from = context.program.values[at(op.in.value)].space,
                to = context.program.values[at(op.out)].space;
  const Cuts &maps = context.cuts[at(from)], &results = context.cuts[at(to)];
  const TensorView<float> in = context.value(op.in.value), out = context.value(op.out);
  const LoadedParameter& weight = context.weights[op.weight];
  const Index C = weight.cols;
  const auto rows_of = [&](Index s) { return map_of(context, to, s).rows; };
  for_each_map_row(context, results.pieces, rows_of, [&](Index s, Index row) {
    const auto i = static_cast<std::size_t>(s);
    const Grid map = map_of(context, from, s), result = map_of(context, to, s);
    float* const y = out.data + (results.offsets[i] + row * result.cols) * out.stride;
    context.kernels.depthwise({.x = in.data + maps.offsets[i] * in.stride + op.in.first,
                               .ldx = in.stride,
                               .H = map.rows,
                               .W = map.cols,
                               .w = weight.data,
                               .bias = op.bias == kNone ? nullptr : context.weights[op.bias].data,
                               .y = y,
                               .ldy = out.stride,
                               .C = C,
                               .taps = op.taps,
                               .stride = from == to ? 1 : context.program.spaces[at(to)].n,
                               .row = row,
                               .cols = result.cols,
                               .activation = op.activation});
    for (Index j = 0; j < result.cols && C < out.cols; ++j) {
      std::fill_n(y + j * out.stride + C, out.cols - C, 0.0F);
    }
  });
}

void run(const Context& context, const ScaleRowsOp& op) noexcept {
  const SpaceId space = context.program.values[at(op.in)].space;
  const TensorView<float> x = context.value(op.in), scale = context.value(op.scale),
                          y = context.value(op.out);
  context.workers.run(scale.rows, [&](Index s, int) {
    const Range rows = rows_of_sequence(context, space, s);
    for (Index i = rows.begin; i < rows.end; ++i) {
      context.kernels.gated(Activation::none, x.data + i * x.stride, scale.data + s * scale.stride,
                            x.stride, y.data + i * y.stride, y.stride, 1, y.cols);
    }
  });
}

}  // namespace tessera::execute
