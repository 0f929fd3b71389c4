// SPDX-License-Identifier: Apache-2.0
//
// The rows of maps, moved: into the order of windows and back, and side by side. A task moves the cells
// of one row of windows, or one row of merged cells.
#include <algorithm>
#include <cstring>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/map_rows.hpp"

namespace tessera::execute {
namespace {

template <class T>
void copy(T* to, const T* from, Index columns) noexcept {
  std::memcpy(to, from, static_cast<std::size_t>(columns) * sizeof(T));
}

/// Where window (wy, wx)'s cell (y, x) is in the map, by row; −1: beyond it.
///
///   rolled (Y, X) holds padded ((Y + shift) mod H, (X + shift) mod W),    H, W multiples of n
struct WindowCells {
  Grid map{};
  Index n = 0, shift = 0;

  Index windows_high() const noexcept { return ceil_div(map.rows, n); }
  Index windows_wide() const noexcept { return ceil_div(map.cols, n); }
  Index row_of(Index wy, Index y) const noexcept {
    const Index row = (wy * n + y + shift) % (windows_high() * n);
    return row < map.rows ? row : -1;
  }
  Index column_of(Index wx, Index x) const noexcept {
    const Index column = (wx * n + x + shift) % (windows_wide() * n);
    return column < map.cols ? column : -1;
  }
};

template <class T>
void window_rows(const Context& context, const WindowRowsOp& op) noexcept {
  const SpaceId from = context.program.values[at(op.in)].space,
                to = context.program.values[at(op.out)].space;
  const bool back = context.program.spaces[at(from)].rule == RowRule::grid_windows;
  const Space& space = context.program.spaces[at(back ? from : to)];
  const Cuts& maps = context.cuts[at(back ? to : from)];
  const TensorView<T> in = context.view<T>(op.in), out = context.view<T>(op.out);
  const Index C = out.cols;
  const auto grid = [&](Index s) { return maps.grids[static_cast<std::size_t>(s)]; };
  // Windows of a map begin where those of the maps before it end.
  const auto first_row = [&](Index s) {
    Index rows = 0;
    for (Index before = 0; before < s; ++before) rows += grid_extents(space, grid(before)).rows;
    return rows;
  };
  const auto rows_of_windows = [&](Index s) { return ceil_div(grid(s).rows, space.n); };
  for_each_map_row(context, maps.pieces, rows_of_windows, [&](Index s, Index wy) {
    const Grid map = grid(s);
    const WindowCells cells{map, space.n, is_rolled(space, map) ? space.shift : 0};
    const Index n = space.n, wide = cells.windows_wide();
    const Index map_begin = maps.offsets[static_cast<std::size_t>(s)],
                windows_begin = first_row(s) + wy * wide * n * n;
    for (Index y = 0; y < n; ++y) {
      const Index row = cells.row_of(wy, y);
      for (Index wx = 0; wx < wide; ++wx) {
        for (Index x = 0; x < n; ++x) {
          const Index column = cells.column_of(wx, x);
          const Index window_row = windows_begin + (wx * n + y) * n + x;
          const bool is_cell = row >= 0 && column >= 0;
          const Index cell = map_begin + row * map.cols + column;
          if (!back && is_cell) {
            copy(out.data + window_row * out.stride, in.data + cell * in.stride, C);
          } else if (!back) {
            std::fill_n(out.data + window_row * out.stride, C, T{});
          } else if (is_cell) {
            copy(out.data + cell * out.stride, in.data + window_row * in.stride, C);
          }
        }
      }
    }
  });
}

template <class T>
void merge_cells(const Context& context, const MergeCellsOp& op) noexcept {
  const SpaceId from = context.program.values[at(op.in)].space,
                to = context.program.values[at(op.out)].space;
  const Index n = context.program.spaces[at(to)].n;
  const Cuts &maps = context.cuts[at(from)], &merged = context.cuts[at(to)];
  const TensorView<T> in = context.view<T>(op.in), out = context.view<T>(op.out);
  const Index C = in.cols;
  const auto rows_of = [&](Index s) { return merged.grids[static_cast<std::size_t>(s)].rows; };
  for_each_map_row(context, maps.pieces, rows_of, [&](Index piece, Index y) {
    const auto s = static_cast<std::size_t>(piece);
    const Grid map = maps.grids[s], small = merged.grids[s];
    for (Index x = 0; x < small.cols; ++x) {
      T* to_cell = out.data + (merged.offsets[s] + y * small.cols + x) * out.stride;
      for (Index dx = 0; dx < n; ++dx) {
        for (Index dy = 0; dy < n; ++dy, to_cell += C) {
          const Index row = n * y + dy, column = n * x + dx;
          if (row < map.rows && column < map.cols) {
            copy(to_cell, in.data + (maps.offsets[s] + row * map.cols + column) * in.stride, C);
          } else {
            std::fill_n(to_cell, C, T{});
          }
        }
      }
    }
  });
}

}  // namespace

void run(const Context& context, const WindowRowsOp& op) noexcept {
  context.is_narrow(op.out) ? window_rows<std::uint16_t>(context, op)
                            : window_rows<float>(context, op);
}

void run(const Context& context, const MergeCellsOp& op) noexcept {
  context.is_narrow(op.out) ? merge_cells<std::uint16_t>(context, op)
                            : merge_cells<float>(context, op);
}

}  // namespace tessera::execute
