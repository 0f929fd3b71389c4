// SPDX-License-Identifier: Apache-2.0
//
// y[i] = Σ_t table_t[index_t[i]]: the sum of word, position and token-type rows, terms added in
// order. Tables stay in the checkpoint's element type; nothing but the gathered rows is read.
#pragma once

#include "kernels/rows/rows.hpp"
#include "kernels/rows/widen.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
void gather_sum(const EmbeddingTerm* terms, Index n_terms, float* y, Index ldy, Index M,
                Index N) noexcept {
  TESSERA_ASSERT(n_terms >= 1 && n_terms <= 4);
  constexpr Index kMaxTerms = 4;  // word, position, token type, and one to spare
  for (Index i = 0; i < M; ++i) {
    const void* rows[kMaxTerms];  // (n_terms) pointers to (N)
    for (Index t = 0; t < n_terms; ++t) {
      const Index row = terms[t].index == nullptr ? terms[t].constant : terms[t].index[i];
      rows[t] = static_cast<const char*>(terms[t].table) + row * N * size_of(terms[t].type);
    }
    for_each_vector<A>(N, [&](Index j, Index n) {
      F32<A> sum = widen_n<A>(rows[0], terms[0].type, j, n);
      for (Index t = 1; t < n_terms; ++t) sum = sum + widen_n<A>(rows[t], terms[t].type, j, n);
      store_n<A>(y + i * ldy + j, n, sum);
    });
  }
}

}  // namespace
}  // namespace tessera::kernels
