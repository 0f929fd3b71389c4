// SPDX-License-Identifier: Apache-2.0
//
// Elementary functions on vectors, branch-free, with measured errors (tests/kernels/math_test.cpp
// sweeps the domain of each at every ISA level; TESSERA_FULL_SWEEP=1 takes all 2³² arguments).
//
//                     method                 max error, ulp     vector operations
//                                            FMA / without
//   exp2              2ⁿ·p₅(x − n)           2.8 AVX-512, 2.2   7 AVX-512, 11 AVX2
//   exp               2ⁿ·p₆(x − n·ln2)       0.9 / 1.2          13 AVX-512, 18 AVX2
//   sigmoid           1/(1 + exp(−x))        2.3 / 2.3          exp + 3, one a division
//   erf               x·N₅(x²)/D₅(x²)        5.1 / 5.4          17, one a division
//   tanh              x·N₅(x²)/D₄(x²)        4.5 / 5.5          16, one a division
//   log1p, x ≥ 0      k ln2 + log m         0.8 / 0.8          about 30, two divisions
//
// NaN gives NaN everywhere. Coefficients: exp by Sollya's fpminimax with p(0) = 1 held; the
// rational functions by Loeb's linearised iteration with Lawson weights in 113-bit arithmetic,
// relative error.
#pragma once

#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// ((c[0] x + c[1]) x + …) x + c[n−1]: highest power first.
template <class A, std::size_t n>
TESSERA_INLINE F32<A> horner(F32<A> x, const float (&c)[n]) noexcept {
  F32<A> p = splat<A>(c[0]);
#pragma GCC unroll 16
  for (std::size_t i = 1; i < n; ++i) p = mul_add<A>(p, x, splat<A>(c[i]));
  return p;
}

/// The low 8 bits of each lane as the exponent of an f32.
template <class A>
TESSERA_INLINE F32<A> shifted_to_exponent(F32<A> t) noexcept {
  return Words<A>::shifted_to_exponent(t);
}

/// 2ⁿ as f32 for integral n in [−127, 127]; n = −127 gives 0.
template <class A>
TESSERA_INLINE F32<A> exp2_integer(F32<A> n) noexcept {
  return shifted_to_exponent<A>(n + splat<A>(0x1.8p23F + 127.0F));
}

/// min(x, 128) where exp2 needs it: compared as integers, which leaves the multipliers free. A
/// positive NaN becomes 128, a negative one passes.
template <class A>
TESSERA_INLINE F32<A> at_most_128(F32<A> x) noexcept {
  if constexpr (Words<A>::kScale) {
    return x;
  } else {
    return Words<A>::at_most_128(x);
  }
}

/// 2ˣ for softmax terms, x ≤ 128.   2ˣ = 2ⁿ·p(f),  f = x − n
///
///   n = ⌊x⌋, 0 ≤ f ≤ 1 on AVX-512;  n = round(x) elsewhere
///
/// Exact at 0. x < −126.5 gives at most 2⁻¹²⁶: gradual underflow on AVX-512, 0 elsewhere; −inf
/// gives 0, and 128 gives +inf, as does all above on AVX-512.
template <class A>
TESSERA_INLINE F32<A> exp2(F32<A> x) noexcept {
  if constexpr (Words<A>::kScale) {
    // approximation error 8.3e-8. vreduceps is one instruction for x − ⌊x⌋ (0 at ±inf), and
    // vscalefps takes ⌊x⌋ of its exponent by itself and underflows by itself.
    constexpr float p[] = {1.8669526325538754e-3F, 9.017480537295341e-3F, 5.5799514055252075e-2F,
                           2.401645928621292e-1F,  6.931512951850891e-1F, 1.0F};
    return Words<A>::scale(horner<A>(Words<A>::below_integer(x), p), x);
  } else {
    // approximation error 9.5e-8
    constexpr float p[] = {1.327475067228079e-3F, 9.671565145254135e-3F, 5.550699308514595e-2F,
                           2.402224093675613e-1F, 6.931470036506653e-1F, 1.0F};
    // 1.5·2²³ + 127 + x rounds x and has the biased exponent of 2ⁿ in its low bits
    const F32<A> magic = splat<A>(0x1.8p23F + 127.0F);
    const F32<A> y = vmax<A>(splat<A>(-127.0F), x);
    const F32<A> t = y + magic;
    return horner<A>(y - (t - magic), p) * shifted_to_exponent<A>(t);
  }
}

/// eˣ on the whole line; gradual underflow, overflow to +inf, −inf gives 0.
///
///   n = round(x log₂e),  r = x − n ln2 (ln2 = hi + lo, n·hi exact),  eˣ = 2ⁿ·p(r),  |r| ≤ ln2/2
template <class A>
TESSERA_INLINE F32<A> exp(F32<A> x) noexcept {
  // approximation error 3.3e-9
  constexpr float p[] = {1.378246466629207e-3F,
                         8.368670009076595e-3F,
                         4.166896268725395e-2F,
                         1.666652113199234e-1F,
                         4.999999105930328e-1F,
                         1.0F,
                         1.0F};
  // exp(−104) < 2⁻¹⁵⁰ rounds to 0, exp(89) > 2¹²⁸
  const F32<A> y = vmin<A>(splat<A>(89.0F), vmax<A>(splat<A>(-104.0F), x));
  const F32<A> n = round_nearest<A>(y * splat<A>(1.44269504F));
  const F32<A> r =
      neg_mul_add<A>(n, splat<A>(-2.12194440e-4F), neg_mul_add<A>(n, splat<A>(0.693359375F), y));
  if constexpr (Words<A>::kScale) {
    return Words<A>::scale(horner<A>(r, p), n);
  } else {
    const F32<A> n1 =
        round_nearest<A>(n * splat<A>(0.5F));  // 2ⁿ in two factors: n is in [−150, 128]
    return horner<A>(r, p) * exp2_integer<A>(n1) * exp2_integer<A>(n - n1);
  }
}

/// 1/(1 + e⁻ˣ). x < −88.7 gives 0 (the result is denormal there). sigmoid(−inf) = 0, sigmoid(+inf)
/// = 1.
template <class A>
TESSERA_INLINE F32<A> sigmoid(F32<A> x) noexcept {
  const F32<A> one = splat<A>(1.0F);
  return one / (one + exp<A>(splat<A>(0.0F) - x));
}

/// x·N(x²)/D(x²) for |x| ≤ bound, continued as a constant and kept within ±1.
template <class A, std::size_t n, std::size_t m>
TESSERA_INLINE F32<A> odd_rational(F32<A> x, float bound, const float (&N)[n],
                                   const float (&D)[m]) noexcept {
  const F32<A> z = vmin<A>(splat<A>(bound), vmax<A>(splat<A>(-bound), x));
  const F32<A> t = z * z;
  const F32<A> y = z * horner<A>(t, N) / horner<A>(t, D);
  return vmin<A>(splat<A>(1.0F), vmax<A>(splat<A>(-1.0F), y));
}

/// erf x = 2/√π ∫₀ˣ exp(−t²) dt; exactly ±1 from |x| = 3.93 on (1 − erf < 2⁻²⁵ there).
template <class A>
TESSERA_INLINE F32<A> erf(F32<A> x) noexcept {
  // approximation error 1.9e-8
  constexpr float N[] = {2.04606469e-6F, 2.84837057e-4F, 3.77228361e-3F,
                         5.27684520e-2F, 1.90587629e-1F, 1.12837915F};
  constexpr float D[] = {3.80478301e-5F, 1.16379272e-3F, 1.49826563e-2F,
                         1.14180159e-1F, 5.02236619e-1F, 1.0F};
  return odd_rational<A>(x, 3.92500043F, N,
                         D);  // the first bound where N/D rounds to ≥ 1 with and without FMA
}

/// tanh x; exactly ±1 from |x| = 9.001 on (1 − tanh ≤ 2⁻²⁴ there).
template <class A>
TESSERA_INLINE F32<A> tanh(F32<A> x) noexcept {
  // approximation error 1.4e-9
  constexpr float N[] = {-1.22028334e-11F, 3.05841500e-8F, 2.80070923e-5F,
                         3.86830955e-3F,   1.36799006e-1F, 1.0F};
  constexpr float D[] = {1.28734108e-6F, 3.93859904e-4F, 2.72457722e-2F, 4.70132326e-1F, 1.0F};
  return odd_rational<A>(x, 9.00000095F, N, D);  // as for erf
}

/// log(1 + x) for x ≥ 0; +inf gives +inf.
///
///   u = 1 + x = 2ᵏ·m, √½ ≤ m < √2;  d = (1 + x) − u, exact;  log(1 + x) = k ln2 + log m + d/u
///   log m = f − (f²/2 − s·(f²/2 + z·p(z))),  f = m − 1,  s = f/(2 + f),  z = s²,
///   z·p(z) = log((1 + s)/(1 − s))/s − 2
template <class A>
TESSERA_INLINE F32<A> log1p_of(F32<A> x) noexcept {
  // approximation error of p 1.2e-9
  constexpr float p[] = {0.2333136796951294F, 0.28550779819488525F, 0.4000012278556824F,
                         0.6666666865348816F};
  const F32<A> one = splat<A>(1.0F), u = one + x;
  const I32<A> root(0x3f3504f3), bits = xsimd::bitwise_cast<I32<A>>(u) - root;  // √½
  const F32<A> k = xsimd::to_float(bits >> 23);
  const F32<A> m = xsimd::bitwise_cast<F32<A>>((bits & I32<A>(0x007fffff)) + root);
  const F32<A> f = m - one, s = f / (splat<A>(2.0F) + f), z = s * s;
  const F32<A> half = splat<A>(0.5F) * f * f;
  const F32<A> d = xsimd::select(x > one, one - (u - x), x - (u - one));
  const F32<A> low = mul_add<A>(k, splat<A>(-2.12194440e-4F), d / u);
  const F32<A> sum = mul_add<A>(s, mul_add<A>(z, horner<A>(z, p), half), low);
  const F32<A> y = mul_add<A>(k, splat<A>(0.693359375F), f - (half - sum));
  return xsimd::select(x < splat<A>(kInf), y, x);  // NaN is not less
}

/// act(x). The formulas are those of types.hpp, hence act(−inf) is 0·(−inf) = NaN for the GELUs and
/// SiLU, as in PyTorch's formulas; error of the GELUs ≤ 2.1e-7·max(|x|, 1).
template <Activation act, class A>
TESSERA_INLINE F32<A> activate(F32<A> x) noexcept {
  if constexpr (act == Activation::gelu_erf) {
    const F32<A> h = splat<A>(0.5F) * x;
    return mul_add<A>(h, erf<A>(splat<A>(0.70710678F) * x), h);
  } else if constexpr (act == Activation::gelu_tanh) {
    // √(2/π)(x + 0.044715 x³)
    const F32<A> u = x * mul_add<A>(splat<A>(0.0356774081F), x * x, splat<A>(0.797884561F));
    const F32<A> h = splat<A>(0.5F) * x;
    return mul_add<A>(h, tanh<A>(u), h);
  } else if constexpr (act == Activation::gelu_quick) {
    return x * sigmoid<A>(splat<A>(1.702F) * x);
  } else if constexpr (act == Activation::relu) {
    return vmax<A>(splat<A>(0.0F), x);
  } else if constexpr (act == Activation::tanh) {
    return tanh<A>(x);
  } else if constexpr (act == Activation::silu) {
    return x * sigmoid<A>(x);
  } else if constexpr (act == Activation::sigmoid) {
    return sigmoid<A>(x);
  } else if constexpr (act == Activation::log1p_relu) {
    return log1p_of<A>(vmax<A>(splat<A>(0.0F), x));
  } else if constexpr (act == Activation::log1p2_relu) {
    return log1p_of<A>(log1p_of<A>(vmax<A>(splat<A>(0.0F), x)));
  } else {
    return x;
  }
}

/// Calls body.template operator()<act>() with the run-time activation as a template argument.
template <class Body>
TESSERA_INLINE void with_activation(Activation act, Body&& body) noexcept {
  switch (act) {
    case Activation::none:
      return body.template operator()<Activation::none>();
    case Activation::gelu_erf:
      return body.template operator()<Activation::gelu_erf>();
    case Activation::gelu_tanh:
      return body.template operator()<Activation::gelu_tanh>();
    case Activation::gelu_quick:
      return body.template operator()<Activation::gelu_quick>();
    case Activation::relu:
      return body.template operator()<Activation::relu>();
    case Activation::tanh:
      return body.template operator()<Activation::tanh>();
    case Activation::silu:
      return body.template operator()<Activation::silu>();
    case Activation::sigmoid:
      return body.template operator()<Activation::sigmoid>();
    case Activation::log1p_relu:
      return body.template operator()<Activation::log1p_relu>();
    case Activation::log1p2_relu:
      return body.template operator()<Activation::log1p2_relu>();
  }
}

/// act(x) with act known only at run time: a branch that a loop predicts.
template <class A>
TESSERA_INLINE F32<A> activate(Activation act, F32<A> x) noexcept {
  F32<A> y = x;
  with_activation(
      act, [&]<Activation a>() __attribute__((always_inline)) { y = activate<a, A>(x); });
  return y;
}

}  // namespace
}  // namespace tessera::kernels
