// SPDX-License-Identifier: Apache-2.0
//
// Weights of -1, 0 and 1, four in a byte, with a scale for each row of the tensor:
//
//   t[jR + r, k] = ((byte[r,k] >> 2j) & 3) - 1      R = N/4, j = 0 .. 3; code 3 does not occur
//   w[n,k]       = t[n,k] · scale[n]
//
// Rows that share a byte are R apart, so that a row is one of bytes: it is read and decoded by itself.
// Decoded they are whole numbers like others (scaled_rows.hpp).
//                              transformers v4.57 integrations/bitnet.py, pack_weights, unpack_weights
#pragma once

#include <cstdint>

#include "runtime/weights/checkpoint.hpp"

namespace tessera {

inline constexpr Index kTernaryRows = 4;  ///< that share a byte

/// Elements [begin, begin + n) of a tensor (N,K) of StoredType::ternary, a row at a time.
/// Throws Error{corrupt_file} naming tensor, row and column where the code is 3.
void read_ternary(const Checkpoint& checkpoint, const StoredTensor& tensor, Index begin, Index n,
                  std::int8_t* to);

}  // namespace tessera
