// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/patches.hpp"

#include <algorithm>

#include "runtime/plan/gathered.hpp"

namespace tessera {

Index patch_block_rows(const ImageSpec& images, Precision precision, Index MR,
                       Index l2_bytes) noexcept {
  const Index row_bytes = gathered_layout(precision, images.patch_elements()).row_bytes();
  const Index rows = l2_bytes / 2 / row_bytes / MR * MR;
  return std::clamp(rows, MR, 32 * MR);
}

}  // namespace tessera
