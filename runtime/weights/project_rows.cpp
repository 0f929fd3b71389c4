// SPDX-License-Identifier: Apache-2.0
//
//   P = LayerNorm(E) · Wᵀ + b                  (R, heads·d)
//
// then columns h·d … h·d + d of P as the B of a product with the rows of head h: all with the kernels
// of the level, panel by panel of W.
#include "runtime/weights/project_rows.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tessera {

Index projected_bytes(const kernels::Gemm& gemm, Index R, Index heads, Index d) noexcept {
  return heads * ((R + gemm.NR - 1) / gemm.NR) * gemm.panel_bytes(d);
}

float project_rows(const kernels::KernelTable& kernels, const ProjectedRows& p, Precision precision,
                   std::byte* panels) {
  const kernels::Gemm& gemm = kernels.gemm[Precision::f32];
  const Index R = p.R, K = p.K, N = p.heads * p.d, NR = gemm.NR, MR = gemm.MR;
  float* const E = p.rows.data();
  if (!p.gamma.empty()) {
    kernels.layer_norm({.x = E,
                        .ldx = K,
                        .residual = nullptr,
                        .ldr = 0,
                        .gamma = p.gamma.data(),
                        .beta = p.beta.data(),
                        .eps = p.eps,
                        .y = E,
                        .ldy = K,
                        .M = R,
                        .N = K});
  }
  std::vector<float> product(static_cast<std::size_t>(R * N));  // P
  std::vector<std::byte> panel(static_cast<std::size_t>(gemm.panel_bytes(K)));
  {
    const kernels::Entered entered(gemm);
    for (Index n = 0; n < N; n += NR) {
      const Index nr = std::min(NR, N - n);
      gemm.pack_panel({p.weight.data() + n * K, DType::f32, K, nr, K, panel.data()});
      for (Index m = 0; m < R; m += MR) {
        gemm.run({.a = E + m * K,
                  .lda = K,
                  .b = panel.data(),
                  .c = product.data() + m * N + n,
                  .ldc = N,
                  .mr = std::min(MR, R - m),
                  .nr = nr,
                  .kc = K,
                  .bias = p.bias.data() + n,
                  .resident = true});
      }
    }
  }
  const kernels::Gemm& of_heads = kernels.gemm[precision];
  for (Index h = 0; h < p.heads; ++h) {
    for (Index n = 0; n < R; n += of_heads.NR, panels += of_heads.panel_bytes(p.d)) {
      of_heads.pack_panel({product.data() + n * N + h * p.d, DType::f32, N,
                           std::min(of_heads.NR, R - n), p.d, panels});
    }
  }
  float largest = 0.0F;
  for (const float x : product) {
    if (std::isnan(x)) return x;
    largest = std::max(largest, std::abs(x));
  }
  return largest;
}

}  // namespace tessera
