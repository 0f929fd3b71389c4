// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/token_vectors.hpp"

#include <algorithm>

namespace tessera {

std::vector<Index> vector_rows(const models::MultiVector& reads, const SequenceView& sequence,
                               TextRole role) {
  const bool skips = role == TextRole::query ? reads.skips_queries : reads.skips_documents;
  std::vector<Index> rows;
  const Index count = sequence.size();
  for (Index t = 0; t < count; ++t) {
    const Index row = (t + sequence.query_only) % count;
    const std::int32_t id = sequence.ids[static_cast<std::size_t>(row)];
    if (skips && std::binary_search(reads.skipped.begin(), reads.skipped.end(), id)) continue;
    rows.push_back(row);
  }
  return rows;
}

std::vector<float> token_vectors(const models::MultiVector& reads, const SequenceView& sequence,
                                 TextRole role, const TensorView<const float>& output) {
  std::vector<float> vectors;
  for (const Index row : vector_rows(reads, sequence, role)) {
    const std::span<const float> from = output.row(row);
    vectors.insert(vectors.end(), from.begin(), from.end());
  }
  return vectors;
}

}  // namespace tessera
