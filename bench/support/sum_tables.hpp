// SPDX-License-Identifier: Apache-2.0
//
// Ternary weights by tables of sums in memory, as T-MAC and the LUT kernels of bitnet.cpp have them: for
// three elements of A every sum that three of -1, 0 and 1 make of them, looked up by the weights' codes.
//
//   T[g][code] = t0·a[3g] + t1·a[3g+1] + t2·a[3g+2]          27 sums in 16 bits, 64 bytes for each g
//   C[j]       = Σ_g T[g][code_j,g]
//
// For each row of A the tables are made and used by all columns. A word of 16 bits has the codes of three g
// (1.78 bits a weight); a register has those of 32 columns; VPERMW looks 32 sums up in a table that it
// reads from L1. Sums of 16 bits are widened before they could overflow: 84 groups of at most 3·127.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/types.hpp"

namespace tessera::bench {

class SumTables {
 public:
  static constexpr Index kColumns = 32, kOfWord = 9, kWordsAtOnce = 28;

  SumTables(Index N, Index K)
      : N_(N),
        words_((K + kOfWord - 1) / kOfWord),
        tables_(static_cast<std::size_t>(words_ * 3 * kColumns + kColumns)),
        row_(static_cast<std::size_t>(words_ * kOfWord)) {}

  Index bytes() const noexcept { return (N_ + kColumns - 1) / kColumns * words_ * 64; }

  /// w (N,K): -1, 0 and 1.
  void pack(const std::int8_t* w, Index K, std::byte* to) const {
    for (Index j0 = 0; j0 < N_; j0 += kColumns) {
      for (Index word = 0; word < words_; ++word) {
        for (Index c = 0; c < kColumns; ++c, to += 2) {
          unsigned bits = 0;
          for (Index g = 0; g < 3; ++g) {
            unsigned code = 0;
            for (Index t = 2; t >= 0; --t) {
              const Index j = j0 + c, k = word * kOfWord + 3 * g + t;
              code = 3 * code + static_cast<unsigned>((j < N_ && k < K ? w[j * K + k] : 0) + 1);
            }
            bits |= code << (5 * g);
          }
          const auto stored = static_cast<std::uint16_t>(bits);
          std::memcpy(to, &stored, 2);
        }
      }
    }
  }

  /// c (N) = the sums of one row a (K) of whole numbers, |a| ≤ 127. Precondition: the CPU has Isa::avx512.
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) void run(const std::int8_t* a,
                                                                         Index K,
                                                                         const std::byte* packed,
                                                                         std::int32_t* c) {
    std::int16_t* const tables = aligned();
    make_tables(a, K, tables);
    const auto* at = reinterpret_cast<const char*>(packed);
    for (Index j = 0; j < N_; j += kColumns, at += words_ * 64) {
      __m512i low = _mm512_setzero_si512(), high = low;
      for (Index word = 0; word < words_;) {
        __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0;
        const Index end = word + kWordsAtOnce < words_ ? word + kWordsAtOnce : words_;
        for (; word < end; ++word) {
          const __m512i codes = _mm512_loadu_si512(at + word * 64);
          const std::int16_t* const t = tables + word * 3 * kColumns;
          s0 = _mm512_add_epi16(s0, _mm512_permutexvar_epi16(codes, _mm512_load_si512(t)));
          s1 = _mm512_add_epi16(s1, _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 5),
                                                             _mm512_load_si512(t + kColumns)));
          s2 = _mm512_add_epi16(s2, _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 10),
                                                             _mm512_load_si512(t + 2 * kColumns)));
        }
        const __m512i sum = _mm512_add_epi16(_mm512_add_epi16(s0, s1), s2);
        low = _mm512_add_epi32(low, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(sum)));
        high = _mm512_add_epi32(high, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(sum, 1)));
      }
      alignas(64) std::int32_t sums[kColumns];
      _mm512_store_si512(sums, low);
      _mm512_store_si512(sums + 16, high);
      const Index n = N_ - j < kColumns ? N_ - j : kColumns;
      std::memcpy(c + j, sums, static_cast<std::size_t>(n) * sizeof *sums);
    }
  }

 private:
  std::int16_t* aligned() noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(tables_.data());
    return tables_.data() + (64 - address % 64) % 64 / sizeof(std::int16_t);
  }
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) void make_tables(
      const std::int8_t* a, Index K, std::int16_t* tables) {
    std::memset(row_.data(), 0, row_.size());
    std::memcpy(row_.data(), a, static_cast<std::size_t>(K));
    alignas(64) std::int16_t trits[3][kColumns] = {};
    for (int code = 0; code < 27; ++code) {
      trits[0][code] = static_cast<std::int16_t>(code % 3 - 1);
      trits[1][code] = static_cast<std::int16_t>(code / 3 % 3 - 1);
      trits[2][code] = static_cast<std::int16_t>(code / 9 - 1);
    }
    const __m512i t0 = _mm512_load_si512(trits[0]), t1 = _mm512_load_si512(trits[1]),
                  t2 = _mm512_load_si512(trits[2]);
    for (Index g = 0; g < words_ * 3; ++g) {
      const std::int8_t* const x = row_.data() + 3 * g;
      const __m512i sums =
          _mm512_add_epi16(_mm512_add_epi16(_mm512_mullo_epi16(t0, _mm512_set1_epi16(x[0])),
                                            _mm512_mullo_epi16(t1, _mm512_set1_epi16(x[1]))),
                           _mm512_mullo_epi16(t2, _mm512_set1_epi16(x[2])));
      _mm512_store_si512(tables + g * kColumns, sums);
    }
  }

  Index N_, words_;
  std::vector<std::int16_t> tables_;
  std::vector<std::int8_t> row_;
};

}  // namespace tessera::bench
