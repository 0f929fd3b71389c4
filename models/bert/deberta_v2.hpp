// SPDX-License-Identifier: Apache-2.0
// The relative positions of DeBERTa-v2 and -v3: which row of the table stands for a distance.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/types.hpp"

namespace tessera::models {

/// What config.json says of them.
struct DebertaDistances {
  Index buckets = 0;  ///< position_buckets; 0: distances are not put into buckets
  Index most = 0;     ///< max_relative_positions

  /// Rows of the table are 2·span: distances −span … span − 1.
  Index span() const noexcept { return buckets > 0 ? buckets : most; }
};

/// The bucket of (query column − key column): itself up to half the buckets, then by its logarithm.
Index deberta_bucket(const DebertaDistances& d, Index distance) noexcept;

/// The row of every distance from −reach to reach, up to the reach from which on it stays the same.
std::vector<std::int32_t> deberta_rows(const DebertaDistances& d);

}  // namespace tessera::models
