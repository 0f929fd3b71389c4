// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simd/math_bf16.inl.hpp"
#include "tests/kernels/probe/math_probe.hpp"

namespace tessera::kernels {
namespace {

#define TESSERA_PROBE(function)                                                                   \
  [](const float* x, float* y, Index n) noexcept {                                                \
    for_each_vector<A>(n, [&](Index j, Index) { store<A>(y + j, function<A>(load<A>(x + j))); }); \
  }

template <class A>
void probe_for_bf16(Activation activation, const float* x, float* y, Index n) noexcept {
  with_activation(activation, [&]<Activation act>() {
    for_each_vector<A>(
        n, [&](Index j, Index) { store<A>(y + j, activate_for_bf16<act, A>(load<A>(x + j))); });
  });
}

template <class A>
constexpr test::MathProbe kMathProbe{
    TESSERA_PROBE(exp2), TESSERA_PROBE(exp),           TESSERA_PROBE(sigmoid), TESSERA_PROBE(erf),
    TESSERA_PROBE(tanh), TESSERA_PROBE(exp2_for_bf16), probe_for_bf16<A>};

#undef TESSERA_PROBE

}  // namespace
}  // namespace tessera::kernels
