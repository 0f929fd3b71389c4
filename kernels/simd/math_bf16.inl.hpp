// SPDX-License-Identifier: Apache-2.0
//
// Activations at bf16's price: for results that are rounded to bf16 (a relative error of 2⁻⁹) at once.
// Divisions become products with a reciprocal of 14 bits, polynomials lose what rounding takes anyway. A
// product of tiles leaves about 14·K/512 vector instructions per vector of C free: 10 at K = 384, 21 at
// K = 768. The f32 form of GELU takes 24 and 16 cycles of the divider, this one 16.
//
//   errors    GELU, tanh, sigmoid, SiLU and quick GELU: 1.2e-4·max(|x|, 1)
//
// Activations only where a reciprocal of 14 bits is one instruction; elsewhere they are those of
// math.inl.hpp.
#pragma once

#include "kernels/simd/math.inl.hpp"

namespace tessera::kernels {
namespace {

/// 2ˣ to 14 bits, for what is rounded to 8 (relative error 7.6e-5): x ≤ 128, −inf gives 0, NaN gives NaN; what is below 2⁻¹²⁶
/// may be 0.
template <class A>
TESSERA_INLINE F32<A> exp2_for_bf16(F32<A> x) noexcept {
  if constexpr (Words<A>::kScale) {
    constexpr float p[] = {7.80245227e-2F, 0.226067155F, 0.695833541F, 0.999925219F};  // [0, 1]
    return Words<A>::scale(horner<A>(Words<A>::below_integer(x), p), x);
  } else {
    constexpr float p[] = {5.51716691e-2F, 0.242611122F, 0.693260985F, 0.999928074F};  // [−½, ½]
    const F32<A> magic = splat<A>(0x1.8p23F + 127.0F);
    const F32<A> y = vmin<A>(splat<A>(128.0F), vmax<A>(splat<A>(-127.0F), x));
    const F32<A> t = y + magic;
    return horner<A>(y - (t - magic), p) * shifted_to_exponent<A>(t);
  }
}

/// x·N(x²)/D(x²) for |x| ≤ bound, kept within ±1; relative error of the quotient 2⁻¹⁴.
template <class A, std::size_t n, std::size_t m>
TESSERA_INLINE F32<A> odd_rational_for_bf16(F32<A> x, float bound, const float (&N)[n],
                                            const float (&D)[m]) noexcept {
  const F32<A> z = vmin<A>(splat<A>(bound), vmax<A>(splat<A>(-bound), x));
  const F32<A> t = z * z;
  const F32<A> y = z * horner<A>(t, N) * Words<A>::reciprocal_14(horner<A>(t, D));
  return vmin<A>(splat<A>(1.0F), vmax<A>(splat<A>(-1.0F), y));
}

template <class A>
TESSERA_INLINE F32<A> erf_for_bf16(F32<A> x) noexcept {
  // approximation error 1.3e-6, and 6.1e-6 beyond the bound
  constexpr float N[] = {7.59336546e-4F, 4.33727956e-2F, 1.53622943e-1F, 1.1283811F};
  constexpr float D[] = {9.37048421e-3F, 9.47761394e-2F, 4.69524887e-1F, 1.0F};
  return odd_rational_for_bf16<A>(x, 3.2F, N, D);
}

template <class A>
TESSERA_INLINE F32<A> tanh_for_bf16(F32<A> x) noexcept {
  // approximation error 2.7e-6, and 5.3e-5 beyond the bound
  constexpr float N[] = {1.58395176e-3F, 1.15825679e-1F, 9.9998737e-1F};
  constexpr float D[] = {6.09164361e-5F, 1.80007294e-2F, 4.49115072e-1F, 1.0F};
  return odd_rational_for_bf16<A>(x, 5.3F, N, D);
}

template <class A>
TESSERA_INLINE F32<A> sigmoid_for_bf16(F32<A> x) noexcept {
  const F32<A> e = exp2_for_bf16<A>(vmin<A>(splat<A>(126.0F), splat<A>(-1.44269504F) * x));
  return Words<A>::reciprocal_14(splat<A>(1.0F) + e);
}

/// activate() for a result that becomes bf16.
template <Activation act, class A>
TESSERA_INLINE F32<A> activate_for_bf16(F32<A> x) noexcept {
  if constexpr (!Words<A>::kReciprocal14) {
    return activate<act, A>(x);
  } else if constexpr (act == Activation::gelu_erf) {
    const F32<A> h = splat<A>(0.5F) * x;
    return mul_add<A>(h, erf_for_bf16<A>(splat<A>(0.70710678F) * x), h);
  } else if constexpr (act == Activation::gelu_tanh) {
    const F32<A> u = x * mul_add<A>(splat<A>(0.0356774081F), x * x, splat<A>(0.797884561F));
    const F32<A> h = splat<A>(0.5F) * x;
    return mul_add<A>(h, tanh_for_bf16<A>(u), h);
  } else if constexpr (act == Activation::gelu_quick) {
    return x * sigmoid_for_bf16<A>(splat<A>(1.702F) * x);
  } else if constexpr (act == Activation::tanh) {
    return tanh_for_bf16<A>(x);
  } else if constexpr (act == Activation::silu) {
    return x * sigmoid_for_bf16<A>(x);
  } else if constexpr (act == Activation::sigmoid) {
    return sigmoid_for_bf16<A>(x);
  } else {
    return activate<act, A>(x);
  }
}

}  // namespace
}  // namespace tessera::kernels
