// SPDX-License-Identifier: Apache-2.0
// One row per sequence out of its token rows, by place or by token id. A task is one sequence. Rows that no row
// attends to (Batch::query_only) count for `first` alone: the reference's pooler reads column 0
// whatever the mask says. So do those before Batch::pool_from, which keep their place in weights.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/top_columns.hpp"

namespace tessera::execute {
namespace {

/// Which of the T rows from `first` on.
Index row_by_id(const Context& context, const PoolOp& op, Index first, Index T) noexcept {
  const auto ids =
      context.ids.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(T));
  if (op.pooling == Pooling::largest_id) {
    return std::max_element(ids.begin(), ids.end()) - ids.begin();  // the first of equals
  }
  if (op.pooling == Pooling::last_other_than_id) {
    Index last = T - 1;
    while (last > 0 && ids[static_cast<std::size_t>(last)] == op.id) --last;
    return last;
  }
  const auto found = std::find(ids.begin(), ids.end(), op.id);
  return found == ids.end() ? 0 : found - ids.begin();
}

void pool(const Context& context, const PoolOp& op, const TensorView<float>& x, Index s, float* y,
          float* weights) noexcept {
  const SpaceId space = context.program.values[at(op.in)].space;
  const Range all = rows_of_sequence(context, space, s);
  const Range rows = space == kTokens ? pooled_rows(context, s) : all;
  const Index begin = all.begin, left_out = context.first_pooled_row(s);
  const Index first = rows.begin + op.skip, T = rows.end - first;
  const auto bytes = static_cast<std::size_t>(x.cols) * sizeof(float);
  const auto row = [&](Index r) { return x.data + r * x.stride; };
  if (op.pooling == Pooling::first) {
    std::memcpy(y, row(begin + op.skip), bytes);
  } else if (T <= 0) {  // nothing was attended: zero, like a masked row
    std::memset(y, 0, bytes);
  } else if (op.pooling == Pooling::last) {
    std::memcpy(y, row(first + T - 1), bytes);
  } else if (op.pooling == Pooling::first_of_id || op.pooling == Pooling::largest_id ||
             op.pooling == Pooling::last_other_than_id) {
    std::memcpy(y, row(first + row_by_id(context, op, first, T)), bytes);
  } else if (op.pooling == Pooling::max) {
    context.kernels.max_rows(row(first), x.stride, T, x.cols, y);
  } else if (op.pooling == Pooling::weighted_mean) {
    for (Index t = 0; t < T; ++t) weights[t] = static_cast<float>(left_out + t + 1);
    context.kernels.weighted_mean(row(first), x.stride, weights, T, x.cols, y);
  } else {
    context.kernels.weighted_mean(row(first), x.stride, nullptr, T, x.cols, y);
    if (op.pooling == Pooling::mean_sqrt_len) {
      const float root = std::sqrt(static_cast<float>(T));  // Σ x / sqrt(T) = mean · sqrt(T)
      for (Index n = 0; n < x.cols; ++n) y[n] *= root;
    }
  }
}

struct IdWeight {
  float id, weight;
};
static_assert(sizeof(IdWeight) == 2 * sizeof(float));

/// LargestByIdOp of one sequence without a column for each token: rows by id, of equal ids the largest
/// first, NaN before all. `scratch`: 2T floats.
void top_by_id(const Context& context, const LargestByIdOp& op, const TensorView<float>& x, Index s,
               float* scratch, TopColumns top) noexcept {
  auto* const pairs = reinterpret_cast<IdWeight*>(scratch);
  const Range rows = pooled_rows(context, s);
  Index count = 0;
  for (Index i = rows.begin; i < rows.end; ++i) {
    const std::int32_t id = context.ids[static_cast<std::size_t>(i)];
    if (id >= op.from_id) pairs[count++] = {static_cast<float>(id), x.data[i * x.stride]};
  }
  std::sort(pairs, pairs + count, [](const IdWeight& a, const IdWeight& b) {
    if (a.id != b.id) return a.id < b.id;
    const bool nan_a = std::isnan(a.weight), nan_b = std::isnan(b.weight);
    return nan_a != nan_b ? nan_a : a.weight > b.weight;
  });
  top.clear();
  for (Index i = 0; i < count; ++i) {
    const bool is_largest = i == 0 || pairs[i].id != pairs[i - 1].id;
    const float weight = pairs[i].weight;
    if (is_largest && weight != 0.0F) top.offer(weight, pairs[i].id);
  }
  top.sort();
}

}  // namespace

void run(const Context& context, const TopColumnsOp& op) noexcept {
  const TensorView<float> x = context.value(op.in);   // (S, N)
  const TensorView<float> y = context.value(op.out);  // (S, 2k)
  context.workers.run(y.rows, [&](Index s, int) {
    TopColumns top(y.data + s * y.stride, y.cols / 2);
    top.clear();
    top.offer(x.data + s * x.stride, x.cols, 0);
    top.sort();
  });
}

void run(const Context& context, const PoolOp& op) noexcept {
  const TensorView<float> x = context.value(op.in);   // (ΣT, width)
  const TensorView<float> y = context.value(op.out);  // (S, width)
  context.workers.run(y.rows, [&](Index s, int worker) {
    pool(context, op, x, s, y.data + s * y.stride,
         context.scratch + worker * context.scratch_stride);
  });
}

void run(const Context& context, const LargestByIdOp& op) noexcept {
  const TensorView<float> x = context.value(op.in);   // (ΣT, 1)
  const TensorView<float> y = context.value(op.out);  // (S, vocabulary), or (S, 2·top)
  context.workers.run(y.rows, [&](Index s, int worker) {
    if (op.top > 0) {
      top_by_id(context, op, x, s, context.scratch + worker * context.scratch_stride,
                {y.data + s * y.stride, op.top});
      return;
    }
    float* const largest = y.data + s * y.stride;
    std::fill_n(largest, y.cols, 0.0F);
    const Range rows = pooled_rows(context, s);
    for (Index i = rows.begin; i < rows.end; ++i) {
      const std::int32_t id = context.ids[static_cast<std::size_t>(i)];
      if (id >= op.from_id) largest[id] = -std::numeric_limits<float>::infinity();
    }
    for (Index i = rows.begin; i < rows.end; ++i) {
      const std::int32_t id = context.ids[static_cast<std::size_t>(i)];
      const float weight = x.data[i * x.stride];
      if (id >= op.from_id && (weight > largest[id] || std::isnan(weight))) {
        largest[id] = weight;  // NaN stays
      }
    }
  });
}

}  // namespace tessera::execute
