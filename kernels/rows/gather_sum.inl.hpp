// SPDX-License-Identifier: Apache-2.0
//
// y[i] = Σ_t table_t[index_t[i]]: the sum of word, position and token-type rows, terms added in
// order. Tables stay in the checkpoint's element type; nothing but the gathered rows is read.
#pragma once

#include "kernels/rows/rows.hpp"
#include "kernels/rows/widen.inl.hpp"

namespace tessera::kernels {
namespace {

/// n elements from x + j of a row in its type; of whole numbers times `scale`, a multiplication by itself.
template <class A>
TESSERA_INLINE F32<A> element_of_row(const void* x, DType type, float scale, Index j,
                                     Index n) noexcept {
  if (type != DType::s8) return widen_n<A>(x, type, j, n);
  const auto* const q = static_cast<const std::int8_t*>(x) + j;
  if (n == kLanes<A>) return F32<A>(Words<A>::load_s8(q)) * splat<A>(scale);
  std::int8_t lanes[16] = {};
  for (Index i = 0; i < n; ++i) lanes[i] = q[i];
  return F32<A>(Words<A>::load_s8(lanes)) * splat<A>(scale);
}

template <class A>
void gather_sum(const EmbeddingTerm* terms, Index n_terms, float* y, Index ldy, Index M,
                Index N) noexcept {
  TESSERA_ASSERT(n_terms >= 1 && n_terms <= 4);
  constexpr Index kMaxTerms = 4;  // word, position, token type, and one to spare
  for (Index i = 0; i < M; ++i) {
    const void* rows[kMaxTerms];  // (n_terms) pointers to (N)
    float scales[kMaxTerms] = {};
    for (Index t = 0; t < n_terms; ++t) {
      const Index row = terms[t].index == nullptr ? terms[t].constant : terms[t].index[i];
      rows[t] = static_cast<const char*>(terms[t].table) + row * N * size_of(terms[t].type);
      if (terms[t].scales != nullptr) scales[t] = terms[t].scales[row];
    }
    for_each_vector<A>(N, [&](Index j, Index n) {
      F32<A> sum = element_of_row<A>(rows[0], terms[0].type, scales[0], j, n);
      for (Index t = 1; t < n_terms; ++t) {
        sum = sum + element_of_row<A>(rows[t], terms[t].type, scales[t], j, n);
      }
      store_n<A>(y + i * ldy + j, n, sum);
    });
  }
}

}  // namespace
}  // namespace tessera::kernels
