// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/patches.hpp"

#include <algorithm>

#include "runtime/plan/memory_plan.hpp"

namespace tessera {

Index patch_block_rows(const ImageSpec& images, Index MR, Index l2_bytes) noexcept {
  const Index row_bytes = activation_stride(images.patch_elements()) * Index{sizeof(float)};
  const Index rows = l2_bytes / 2 / row_bytes / MR * MR;
  return std::clamp(rows, MR, 32 * MR);
}

}  // namespace tessera
