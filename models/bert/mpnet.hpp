// SPDX-License-Identifier: Apache-2.0
// MPNet's relative positions, apart so that a test can compare them with the definition.
#pragma once

#include "kernels/types.hpp"

namespace tessera::models {

/// Bucket of the relative position (key column − query column): 16 for either direction; of each
/// 16 the first 8 are exact distances, the rest grow logarithmically up to distance 128.
std::int32_t mpnet_bucket(Index relative_position) noexcept;

}  // namespace tessera::models
