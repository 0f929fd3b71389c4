// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/scaled_rows.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/kernel_table.hpp"

namespace tessera {

void widen_scaled(const std::int8_t* q, std::span<const float> scales, Index length, Index begin,
                  Index n, float* to) {
  for (Index i = 0; i < n;) {
    const Index row = (begin + i) / length;
    const Index end = std::min(n, (row + 1) * length - begin);
    const float scale = scales[static_cast<std::size_t>(row)];
    for (; i < end; ++i) to[i] = static_cast<float>(q[i]) * scale;
  }
}

void multiply_columns(std::span<const float> factors, Index begin, std::span<float> to) {
  if (factors.empty()) return;
  std::size_t k = static_cast<std::size_t>(begin) % factors.size();
  for (float& x : to) {
    x *= factors[k];
    k = k + 1 == factors.size() ? 0 : k + 1;
  }
}

float RowQuantizer::quantize(std::span<const float> row, std::int8_t* q) {
  const auto K = static_cast<Index>(row.size());
  const Index scale_at = scale_offset(K, DType::s16) / size_of(DType::s16);
  numbers_.resize(static_cast<std::size_t>(scale_at) + sizeof(float) / sizeof(std::int16_t));
  kernels::kernels_at(Isa::baseline)
      .quantize({.x = row.data(),
                 .type = DType::f32,
                 .ldx = K,
                 .y = numbers_.data(),
                 .y_bytes = static_cast<Index>(numbers_.size() * sizeof(std::int16_t)),
                 .M = 1,
                 .N = K});
  for (Index k = 0; k < K; ++k) {
    q[k] = static_cast<std::int8_t>(numbers_[static_cast<std::size_t>(k)]);
  }
  float scale = 0.0F;
  std::memcpy(&scale, numbers_.data() + scale_at, sizeof scale);
  return scale;
}

}  // namespace tessera
