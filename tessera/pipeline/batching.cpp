// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/batching.hpp"

#include <algorithm>
#include <numeric>

namespace tessera {

BatchPlan plan_batches(std::span<const Index> lengths, Index budget_rows, Index max_sequences) {
  BatchPlan plan;
  plan_batches(lengths, budget_rows, max_sequences, plan);
  return plan;
}

void plan_batches(std::span<const Index> lengths, Index budget_rows, Index max_sequences,
                  BatchPlan& plan) {
  plan.batches.clear();
  plan.max_rows = plan.max_sequences = 0;
  plan.order.resize(lengths.size());
  std::iota(plan.order.begin(), plan.order.end(), std::size_t{0});
  // Not stable_sort, which allocates.
  std::sort(plan.order.begin(), plan.order.end(), [lengths](std::size_t a, std::size_t b) {
    return lengths[a] != lengths[b] ? lengths[a] > lengths[b] : a < b;
  });
  BatchRange batch;
  const auto close = [&plan, &batch] {
    if (batch.first == batch.last) return;
    plan.batches.push_back(batch);
    plan.max_rows = std::max(plan.max_rows, batch.rows);
    plan.max_sequences = std::max(plan.max_sequences, static_cast<Index>(batch.last - batch.first));
    batch = {.first = batch.last, .last = batch.last, .rows = 0};
  };
  for (const std::size_t index : plan.order) {
    const bool is_full = static_cast<Index>(batch.last - batch.first) >= max_sequences ||
                         batch.rows + lengths[index] > budget_rows;
    if (is_full) close();
    batch.rows += lengths[index];
    ++batch.last;
  }
  close();
}

BatchWindows::BatchWindows(std::size_t size) : size_(size) {
  lengths_.reserve(size);
  plan_.order.reserve(size);
  plan_.batches.reserve(size);
}

void BatchWindows::plan(std::span<const std::int64_t> offsets, std::size_t first, Index budget_rows,
                        Index max_sequences) {
  const std::size_t last = first + std::min(size_, offsets.size() - 1 - first);
  lengths_.clear();
  for (std::size_t s = first; s < last; ++s) lengths_.push_back(offsets[s + 1] - offsets[s]);
  plan_batches(lengths_, budget_rows, max_sequences, plan_);
  for (std::size_t& s : plan_.order) s += first;
}

}  // namespace tessera
