// SPDX-License-Identifier: Apache-2.0
//
// Groups sequences into batches under a budget of token rows.
//
// A batch is ragged, so grouping by length saves no padding; it makes the work of one batch
// uniform, and running the longest first shows at once whether the largest batch fits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.hpp"

namespace tessera {

/// A run of BatchPlan::order: the sequences order[first] … order[last-1] are computed together.
struct BatchRange {
  std::size_t first = 0, last = 0;
  Index rows = 0;  ///< sum of their lengths
};

struct BatchPlan {
  std::vector<std::size_t> order;  ///< a permutation of 0 … n-1: longest first, ties in input order
  std::vector<BatchRange> batches;
  Index max_rows = 0;       ///< the largest BatchRange::rows
  Index max_sequences = 0;  ///< the most sequences of one batch
};

/// Cuts `lengths` (each ≥ 1) into batches of at most `budget_rows` rows and `max_sequences`
/// sequences (both ≥ 1). A sequence longer than the budget gets a batch of its own.
BatchPlan plan_batches(std::span<const Index> lengths, Index budget_rows, Index max_sequences);
/// As above, into `plan`, whose memory is used again: allocates nothing within its capacity.
void plan_batches(std::span<const Index> lengths, Index budget_rows, Index max_sequences,
                  BatchPlan& plan);

/// Batches of any number of sequences, window by window, in memory that does not grow with them.
class BatchWindows {
 public:
  /// `size` sequences are put in order at a time, at least 1.
  explicit BatchWindows(std::size_t size);

  /// Calls run(chosen) for each batch of the sequences with the rows [offsets[s], offsets[s+1]);
  /// `chosen`: their numbers. Limits as plan_batches(). Allocates nothing.
  template <class Run>
  void each(std::span<const std::int64_t> offsets, Index budget_rows, Index max_sequences,
            Run run) {
    for (std::size_t first = 0; first + 1 < offsets.size(); first += size_) {
      plan(offsets, first, budget_rows, max_sequences);
      for (const BatchRange& batch : plan_.batches) {
        run(std::span<const std::size_t>(plan_.order)
                .subspan(batch.first, batch.last - batch.first));
      }
    }
  }

 private:
  void plan(std::span<const std::int64_t> offsets, std::size_t first, Index budget_rows,
            Index max_sequences);

  std::size_t size_;
  std::vector<Index> lengths_;  // (size_)
  BatchPlan plan_;
};

}  // namespace tessera
