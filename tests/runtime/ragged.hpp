// SPDX-License-Identifier: Apache-2.0
// Random ragged batches with their own storage, and results as comparable rows.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "runtime/session/session.hpp"

namespace tessera::test {

using Sequence = std::vector<std::int32_t>;

inline Sequence random_sequence(Index T, Index vocab, unsigned seed) {
  std::mt19937 random(seed);
  Sequence ids(static_cast<std::size_t>(T));
  for (std::int32_t& id : ids)
    id = static_cast<std::int32_t>(random() % static_cast<unsigned>(vocab));
  return ids;
}

/// One batch; capacity is kept, so that filling it again allocates nothing.
struct RaggedBatch {
  std::vector<std::int32_t> ids, offsets{0};

  void clear() {
    ids.clear();
    offsets.assign(1, 0);
  }
  void add(const Sequence& sequence) {
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    offsets.push_back(static_cast<std::int32_t>(ids.size()));
  }
  Batch batch() const { return {.ids = ids, .types = {}, .offsets = offsets}; }
};

inline RaggedBatch batch_of(const std::vector<Sequence>& sequences) {
  RaggedBatch batch;
  for (const Sequence& sequence : sequences) batch.add(sequence);
  return batch;
}

/// Rows [begin, end) of an output, one after another.
inline std::vector<float> rows_of(const Session& session, const std::string& output, Index begin,
                                  Index end) {
  const TensorView<const float> view = session.output(output);
  std::vector<float> rows;
  for (Index i = begin; i < end; ++i)
    rows.insert(rows.end(), view.row(i).begin(), view.row(i).end());
  return rows;
}

/// last_hidden_state of every sequence, and its mean.
inline std::vector<std::vector<float>> results(Session& session,
                                               const std::vector<Sequence>& sequences) {
  const RaggedBatch batch = batch_of(sequences);
  session.run(batch.batch());
  std::vector<std::vector<float>> all;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    all.push_back(rows_of(session, "last_hidden_state", batch.offsets[s], batch.offsets[s + 1]));
    const std::vector<float> mean =
        rows_of(session, "pooled.mean", static_cast<Index>(s), static_cast<Index>(s) + 1);
    all.back().insert(all.back().end(), mean.begin(), mean.end());
  }
  return all;
}

}  // namespace tessera::test
