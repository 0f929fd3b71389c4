// SPDX-License-Identifier: Apache-2.0
//
// Activations at bf16's price: for results that are rounded to bf16 (a relative error of 2⁻⁹) at once.
// GELU is looked up in segments, divisions become products with a reciprocal of 14 bits, polynomials lose what
// rounding takes anyway. A product of tiles leaves about 14·K/512 vector instructions per vector of C free:
// 10 at K = 384, 21 at K = 768. The f32 form of GELU takes 24 and 16 cycles of the divider, this one 9.
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

/// −a·Φ(−a) for a ≥ 0, what GELU is less than max(x, 0): sixteen segments of width 0.28, centred at 0.28·k,
/// of degree 2 in a, each minimax; the first without an absolute term, so that small x keep their digits.
struct Segments {
  alignas(64) float c[3][16];
};
/// Error 8.9e-5, and 3.3e-5 beyond 4.32.
inline constexpr Segments kGeluErf = {
    {{0.0F, -0.000991873443F, -0.0160124749F, -0.0681084841F, -0.164972052F, -0.284379274F,
      -0.384502947F, -0.429321587F, -0.408025533F, -0.336719662F, -0.244511753F, -0.157732591F,
      -0.0910307691F, -0.0472517759F, -0.0221519507F, -0.0094479844F},
     {-0.5F, -0.488999218F, -0.419810086F, -0.271885961F, -0.0738041848F, 0.116923079F,
      0.248297736F, 0.298583686F, 0.278872132F, 0.219120577F, 0.149724931F, 0.0905418471F,
      0.0489709936F, 0.0238553844F, 0.0105174668F, 0.00422998657F},
     {0.398013085F, 0.367220193F, 0.286908358F, 0.181562752F, 0.080126211F, 0.0038898671F,
      -0.0392305925F, -0.0533371605F, -0.0487784296F, -0.0362577029F, -0.0231979713F,
      -0.0131054707F, -0.00662741857F, -0.00302483398F, -0.00125273177F, -0.000474714092F}}};
/// Φ(a) = (1 + tanh(√(2/π)(a + 0.044715 a³)))/2. Error 8.9e-5, and 1.4e-5 beyond 4.32.
inline constexpr Segments kGeluTanh = {
    {{0.0F, -0.000995933078F, -0.0160465185F, -0.0680599287F, -0.164398134F, -0.28303194F,
      -0.383330196F, -0.430263817F, -0.412142485F, -0.342531413F, -0.248915523F, -0.158469647F,
      -0.088211298F, -0.0427406915F, -0.0179185774F, -0.00648674881F},
     {-0.5F, -0.488953292F, -0.419616222F, -0.271907419F, -0.0748849884F, 0.114600874F,
      0.246172115F, 0.298765481F, 0.282086372F, 0.223782435F, 0.153346092F, 0.0916714668F,
      0.04788398F, 0.0217929706F, 0.00859725662F, 0.00293576531F},
     {0.398008525F, 0.367083669F, 0.286588162F, 0.18138209F, 0.0804803148F, 0.00474252924F,
      -0.0384320058F, -0.0531681441F, -0.0493337922F, -0.03712219F, -0.0238701683F, -0.0133543406F,
      -0.00653085718F, -0.00278765825F, -0.00103374093F, -0.000332738651F}}};

/// max(x, 0) − |x|·Φ(−|x|)
template <class A>
TESSERA_INLINE F32<A> gelu_for_bf16(F32<A> x, const Segments& tail) noexcept {
  const F32<A> a = Words<A>::magnitude_within(x, splat<A>(4.32F));
  const F32<A> k = mul_add<A>(a, splat<A>(1 / 0.28F), splat<A>(0x1.8p23F));
  F32<A> y = Words<A>::look_up(tail.c[2], k);
  y = mul_add<A>(y, a, Words<A>::look_up(tail.c[1], k));
  y = mul_add<A>(y, a, Words<A>::look_up(tail.c[0], k));
  return y + vmax<A>(splat<A>(0.0F), x);
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
    return gelu_for_bf16<A>(x, kGeluErf);
  } else if constexpr (act == Activation::gelu_tanh) {
    return gelu_for_bf16<A>(x, kGeluTanh);
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
