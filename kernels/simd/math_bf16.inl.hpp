// SPDX-License-Identifier: Apache-2.0
//
// Activations at bf16's price: for results that are rounded to bf16 (a relative error of 2⁻⁹) at once.
// GELU is looked up in segments, divisions become products with a reciprocal of 14 bits, polynomials lose what
// rounding takes anyway. A product of tiles leaves about 14·K/512 vector instructions per vector of C free:
// 10 at K = 384, 21 at K = 768. The f32 form of GELU takes 24 and 16 cycles of the divider, this one 11.
//
//   errors    GELU 4.3e-6; tanh, sigmoid, SiLU and quick GELU 1.2e-4·max(|x|, 1)
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

/// −a·Φ(−a) for a ≥ 0, what GELU is less than max(x, 0): sixteen segments of width 0.32, centred at 0.32·k,
/// of degree 3 in a, each minimax; the first without an absolute term, so that small x keep their digits.
struct Segments {
  alignas(64) float c[4][16];
};
/// Error 4.3e-06, and 1.9e-06 beyond 4.94.
inline constexpr Segments kGeluErf = {
    {{0.0F, 0.000443340192F, 0.00495145796F, 0.00259590545F, -0.0491656363F, -0.185951799F,
      -0.37979418F, -0.543049514F, -0.596547663F, -0.527677238F, -0.386756331F, -0.239260942F,
      -0.126562327F, -0.0577893183F, -0.0229406562F, -0.00800142717F},
     {-0.5F, -0.506514072F, -0.535208464F, -0.529122114F, -0.393374979F, -0.109397024F,
      0.222284675F, 0.460082233F, 0.52892226F, 0.45390135F, 0.314905822F, 0.182880044F,
      0.0906375945F, 0.0388049893F, 0.0144715421F, 0.00475458289F},
     {0.399619132F, 0.433309466F, 0.4953264F, 0.491145492F, 0.3721461F, 0.175234273F,
      -0.0142005924F, -0.129763901F, -0.159291431F, -0.132041305F, -0.0863220096F, -0.0469145514F,
      -0.0217404552F, -0.00871550664F, -0.00305062113F, -0.000943510735F},
     {-0.0141281709F, -0.0781377554F, -0.123586804F, -0.123275459F, -0.0884009898F, -0.0427964702F,
      -0.00668400945F, 0.0120527726F, 0.0162745137F, 0.0129738841F, 0.00795887969F, 0.00403661793F,
      0.00174582284F, 0.000654544157F, 0.00021485344F, 6.25191169e-05F}}};
/// Φ(a) = (1 + tanh(√(2/π)(a + 0.044715 a³)))/2. Error 4.3e-06, and 3.4e-07 beyond 4.94.
inline constexpr Segments kGeluTanh = {
    {{0.0F, 0.000444126141F, 0.00490433956F, 0.00224880362F, -0.0493538193F, -0.183563396F,
      -0.373943686F, -0.539542377F, -0.603439629F, -0.543064058F, -0.399993479F, -0.241602421F,
      -0.119170122F, -0.047639247F, -0.0152938878F, -0.00392925506F},
     {-0.5F, -0.506527841F, -0.53495425F, -0.527745008F, -0.392337203F, -0.113659747F, 0.212037414F,
      0.453066885F, 0.534853399F, 0.469285339F, 0.328268886F, 0.186528832F, 0.0863093138F,
      0.0323710777F, 0.00976472721F, 0.00236292183F},
     {0.399622411F, 0.433399588F, 0.494915336F, 0.489325106F, 0.370552331F, 0.177281469F,
      -0.00870133843F, -0.12574859F, -0.160652727F, -0.136910349F, -0.0905591547F, -0.0482636765F,
      -0.0209098104F, -0.00734898262F, -0.00208134879F, -0.000474149856F},
     {-0.0141970608F, -0.0784071013F, -0.123542286F, -0.122637808F, -0.0878082663F, -0.0430389009F,
      -0.00759089272F, 0.0113727013F, 0.0163392909F, 0.0134727247F, 0.00839201361F, 0.00418345304F,
      0.00169405784F, 0.000557319727F, 0.000148091116F, 3.17455087e-05F}}};

/// max(x, 0) − |x|·Φ(−|x|)
template <class A>
TESSERA_INLINE F32<A> gelu_for_bf16(F32<A> x, const Segments& tail) noexcept {
  const F32<A> a = Words<A>::magnitude_within(x, splat<A>(4.94F));
  const F32<A> k = mul_add<A>(a, splat<A>(1 / 0.32F), splat<A>(0x1.8p23F));
  F32<A> y = Words<A>::look_up(tail.c[3], k);
  y = mul_add<A>(y, a, Words<A>::look_up(tail.c[2], k));
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
