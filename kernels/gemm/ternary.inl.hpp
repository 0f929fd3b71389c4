// SPDX-License-Identifier: Apache-2.0
//
// Products with weights of -1, 0 and 1: a row of a panel is looked up in registers
// (gemm/ternary_codes.hpp) and then multiplied as 8-bit numbers are, by what the level has for them. So
// sums are those of Precision::s8 on the same weights, and the last bit of every result too.
//
// Decoding three vectors takes 8 to 14 instructions, six in AVX2 30, which are shared by the rows of a
// tile; memory gives a fifth of the bytes.
#pragma once

#include "kernels/gemm/s8_dot.inl.hpp"
#include "kernels/gemm/s8_pairs.inl.hpp"
#include "kernels/gemm/ternary_codes.hpp"

namespace tessera::kernels {
namespace {

/// C codes in a register, a byte each, and lookups in tables of bytes.
template <Index C>
struct Codes;

template <>
struct Codes<16> {
  using Bytes = __m128i;
  Bytes low, is_high;

  static TESSERA_INLINE Codes load(const char* row) noexcept {
    const __m128i x = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row));
    std::int16_t bits = 0;
    __builtin_memcpy(&bits, row + 8, 2);
    const __m128i bit = _mm_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
    const __m128i spread = _mm_set_epi64x(0x0101010101010101LL, 0);
    const __m128i all = _mm_shuffle_epi8(_mm_set1_epi16(bits), spread);
    return {_mm_and_si128(_mm_unpacklo_epi64(x, _mm_srli_epi16(x, 4)), _mm_set1_epi8(15)),
            _mm_cmpeq_epi8(_mm_and_si128(all, bit), bit)};
  }
  TESSERA_INLINE Bytes look_up(const TritTable& t) const noexcept {
    const __m128i first = _mm_load_si128(reinterpret_cast<const __m128i*>(t.low.data()));
    const __m128i second = _mm_load_si128(reinterpret_cast<const __m128i*>(t.high.data()));
    return _mm_blendv_epi8(_mm_shuffle_epi8(first, low), _mm_shuffle_epi8(second, low), is_high);
  }
};

#ifdef __AVX2__
template <>
struct Codes<32> {
  using Bytes = __m256i;
  Bytes low, is_high;

  static TESSERA_INLINE Codes load(const char* row) noexcept {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
    std::int32_t bits = 0;
    __builtin_memcpy(&bits, row + 16, 4);
    const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
    const __m256i spread =
        _mm256_set_epi64x(0x0303030303030303LL, 0x0202020202020202LL, 0x0101010101010101LL, 0);
    const __m256i all = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), spread);
    return {_mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(x, 4), x), _mm256_set1_epi8(15)),
            _mm256_cmpeq_epi8(_mm256_and_si256(all, bit), bit)};
  }
  TESSERA_INLINE Bytes look_up(const TritTable& t) const noexcept {
    const auto table = [](const std::array<std::int8_t, 16>& of) {
      return _mm256_broadcastsi128_si256(
          _mm_load_si128(reinterpret_cast<const __m128i*>(of.data())));
    };
    return _mm256_blendv_epi8(_mm256_shuffle_epi8(table(t.low), low),
                              _mm256_shuffle_epi8(table(t.high), low), is_high);
  }
};
#endif

#ifdef __AVX512BW__
template <>
struct Codes<64> {
  using Bytes = __m512i;
  Bytes low;
  __mmask64 is_high;

  static TESSERA_INLINE Codes load(const char* row) noexcept {
    const __m512i both =
        _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)));
    const __m512i shift =
        _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(4), 1);  // of the upper half
    Codes codes{_mm512_and_si512(_mm512_srlv_epi16(both, shift), _mm512_set1_epi8(15)), 0};
    __builtin_memcpy(&codes.is_high, row + 32, 8);
    return codes;
  }
  TESSERA_INLINE Bytes look_up(const TritTable& t) const noexcept {
    const auto table = [](const std::array<std::int8_t, 16>& of) {
      return _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(of.data())));
    };
    return _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(table(t.low), low), is_high, table(t.high),
                                    low);
  }
};
#endif

/// The bytes of vector u of those that one trit of the codes is for.
template <int u>
TESSERA_INLINE __m128i part_of_bytes(__m128i bytes) noexcept {
  return u == 0 ? bytes : _mm_srli_si128(bytes, 8);
}
#ifdef __AVX2__
template <int u>
TESSERA_INLINE __m128i part_of_bytes(__m256i bytes) noexcept {
  return u == 0 ? _mm256_castsi256_si128(bytes) : _mm256_extracti128_si256(bytes, 1);
}
#endif

/// What is common: rows of a panel of 3·U vectors, each trit of a code U of them.
template <class A, class Elements, int U>
struct Ternary : Elements {
  static constexpr Index kCodes = U * kLanes<A> * Elements::kKR;
  static constexpr int kVectors = kTritsOfCode * U;
  static constexpr bool kDecodesRows = true;
  static constexpr Index kRowBytes = code_bytes(kCodes);
  using BWord = char;

  static constexpr Index row_bytes(Index) noexcept { return kRowBytes; }
  template <int W>
  static TESSERA_INLINE void decode(const char* row, Register<A>* b) noexcept {
    const Codes<kCodes> codes = Codes<kCodes>::load(row);
#pragma GCC unroll 3
    for (int v = 0; v < kTritsOfCode; ++v) {
      if (v * U >= W) break;
      const auto bytes = codes.look_up(kTrits[static_cast<std::size_t>(v)]);
      if constexpr (U == 1) {
        b[v] = vector_of(bytes);
      } else {
        b[v * U] = vector_of(part_of_bytes<0>(bytes));
        if (v * U + 1 < W) b[v * U + 1] = vector_of(part_of_bytes<1>(bytes));
      }
    }
  }

 private:
  static_assert(U == 1 || U == 2);
  template <class Bytes>
  static TESSERA_INLINE Register<A> vector_of(const Bytes& bytes) noexcept {
    if constexpr (Elements::kKR == 2) {
      return Words<A>::pairs_of(bytes);
    } else {
      return __builtin_bit_cast(Register<A>, bytes);
    }
  }
};

}  // namespace
}  // namespace tessera::kernels
