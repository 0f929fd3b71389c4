// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/batching.hpp"

#include <algorithm>
#include <numeric>

namespace tessera {

BatchPlan plan_batches(std::span<const Index> lengths, Index budget_rows, Index max_sequences) {
  BatchPlan plan;
  plan.order.resize(lengths.size());
  std::iota(plan.order.begin(), plan.order.end(), std::size_t{0});
  std::stable_sort(plan.order.begin(), plan.order.end(),
                   [lengths](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
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
  return plan;
}

}  // namespace tessera
