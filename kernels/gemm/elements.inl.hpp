// SPDX-License-Identifier: Apache-2.0
//
// What a register of A or B holds, and how two of them are multiplied: the part of the GEMM
// micro-kernel that differs from one precision to the next. A word has 32 bits: one f32, the KR = 2
// bf16 elements k, k+1 of one column, or 2 or 4 whole numbers. Of whole numbers the sums are s32, in the
// lanes of the same registers.
//
//   BWord, load(p)                 what a panel has for a word, and the words of kLanes columns
//   factor_of(word of each lane)   what B gives to the products
//   splat(word)                    what A gives: one word for all lanes
//   mul_add(a, b, c)               c += Σ a[k]·b[k] over the elements of a word
//   scaled(c, words)               c·x of every element x, or x itself if kScalesScores
//   decode<W>(row, b)              if kDecodesRows, in place of load() and factor_of(): the first W vectors
//                                  of a row of a panel, row_bytes(NR) bytes
#pragma once

#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
using Register = typename F32<A>::register_type;

/// Says that x is in a register here: stops GCC 12 from folding a load of B into each of its mr
/// uses, which multiplies the loads by mr (measured at mr = 2 … 4: 1.3–1.6 times slower on
/// AVX-512).
template <class A>
TESSERA_INLINE void in_register(Register<A>& x) noexcept {
  asm("" : "+v"(x));
}

/// Says that x is read here: as long as a factor lives, an FMA can only overwrite its addend, so
/// that accumulators keep their registers and no moves or spills appear at the end of the loop.
template <class A>
TESSERA_INLINE void still_used(const Register<A>& x) noexcept {
  asm volatile("" : : "v"(x));
}

/// A panel that has its words as they are multiplied, and sums in f32.
template <class A>
struct WordsOfFloats {
  using BWord = float;
  static constexpr bool kDecodesRows = false;
  static TESSERA_INLINE F32<A> load(const float* p) noexcept { return kernels::load<A>(p); }
  static constexpr bool kIsInteger = false;
};

template <class A>
struct F32Elements : WordsOfFloats<A> {
  static constexpr Index kKR = 1;
  static constexpr int kRegisters = 1;  // of a factor
  static constexpr bool kFused = Words<A>::kFma;
  using Factor = Register<A>;

  static TESSERA_INLINE Factor factor_of(F32<A> words) noexcept { return words; }
  static TESSERA_INLINE Factor splat(float word) noexcept { return kernels::splat<A>(word); }
  static TESSERA_INLINE Register<A> mul_add(const Factor& a, const Factor& b,
                                            const Register<A>& c) noexcept {
    return kernels::mul_add<A>(a, b, c);
  }
  static constexpr bool kScalesScores = false;
  static TESSERA_INLINE Factor scaled(float c, F32<A> words) noexcept {
    return kernels::splat<A>(c) * words;
  }
  static TESSERA_INLINE float scaled(float c, float word) noexcept { return c * word; }
  static TESSERA_INLINE void hold(Factor& x) noexcept { in_register<A>(x); }
  static TESSERA_INLINE void used(const Factor& x) noexcept { still_used<A>(x); }
};

/// bf16 where no instruction multiplies it: both elements of a word widened to f32, the lower one
/// first, then two multiply-adds. Half the bytes of f32, and more instructions.
template <class A>
struct Bf16Widened : WordsOfFloats<A> {
  static constexpr Index kKR = 2;
  static constexpr int kRegisters = 2;
  static constexpr bool kFused = Words<A>::kFma;
  struct Factor {
    Register<A> low, high;  // elements k and k+1
  };

  static TESSERA_INLINE Factor factor_of(F32<A> words) noexcept {
    return {Words<A>::bf16_low(words), Words<A>::bf16_high(words)};
  }
  static TESSERA_INLINE Factor splat(float word) noexcept {
    return factor_of(kernels::splat<A>(word));
  }
  static TESSERA_INLINE Register<A> mul_add(const Factor& a, const Factor& b,
                                            const Register<A>& c) noexcept {
    return kernels::mul_add<A>(a.high, b.high, kernels::mul_add<A>(a.low, b.low, c));
  }
  static TESSERA_INLINE void hold(Factor& x) noexcept {
    in_register<A>(x.low), in_register<A>(x.high);
  }
  static TESSERA_INLINE void used(const Factor& x) noexcept {
    still_used<A>(x.low), still_used<A>(x.high);
  }
};

}  // namespace
}  // namespace tessera::kernels
