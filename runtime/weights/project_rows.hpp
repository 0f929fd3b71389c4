// SPDX-License-Identifier: Apache-2.0
// ParameterKind::distances, computed at load: a product of weights alone.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/kernel_table.hpp"

namespace tessera {

/// Tensors of a Projection as f32; gamma and beta may be empty.
struct ProjectedRows {
  std::span<float> rows;          // E (R,K); normalised in place
  std::span<const float> weight;  // (heads·d, K)
  std::span<const float> bias;    // (heads·d)
  std::span<const float> gamma, beta;
  float eps = 0.0F;
  Index R, K, heads, d;
};

/// Bytes of the panels of all heads: ⌈R/NR⌉ panels of (d,NR) each, of `gemm`.
Index projected_bytes(const kernels::Gemm& gemm, Index R, Index heads, Index d) noexcept;

/// Fills `panels` of the GEMM of `precision`, f32 or bf16; the product is f32. Its largest magnitude; NaN or
/// infinite if a value of it is.
float project_rows(const kernels::KernelTable& kernels, const ProjectedRows& p, Precision precision,
                   std::byte* panels);

}  // namespace tessera
