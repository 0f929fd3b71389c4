// SPDX-License-Identifier: Apache-2.0
// Words that every layer shares: the index type, element types, precisions, activations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tessera {

/// All extents and strides, in elements.
using Index = std::ptrdiff_t;

/// Element type of what is stored: weights in a checkpoint, values. A row of s8 or s16 is quantised:
/// whole numbers -127 … 127 (s16: in 16 bits, for kernels without products of bytes), and the scale
/// that they count in, an f32 (scale_offset()).
enum class DType : std::uint8_t { f32, f16, bf16, s8, s16 };

constexpr Index size_of(DType type) noexcept {
  return type == DType::f32 ? 4 : type == DType::s8 ? 1 : 2;
}
constexpr bool is_quantized(DType type) noexcept {
  return type == DType::s8 || type == DType::s16;
}

/// Elements of a quantised row are followed by zeros up to a multiple of these.
inline constexpr Index kQuantizedGroup = 4;
/// Bytes from the start of a quantised row of `width` elements to its scale.
constexpr Index scale_offset(Index width, DType type) noexcept {
  return (width + kQuantizedGroup - 1) / kQuantizedGroup * kQuantizedGroup * size_of(type);
}

/// What the elements that a matrix product multiplies are; sums are f32, of whole numbers s32. Which
/// families of kernels a Program uses: GEMM and attention are families by precision, everything else is
/// f32. `ternary`: activations as in s8, weights of -1, 0 and 1.
enum class Precision : std::uint8_t { f32, bf16, s8, ternary };

inline constexpr std::array kPrecisions{Precision::f32, Precision::bf16, Precision::s8,
                                        Precision::ternary};
/// Those that a model can be asked for. Matrices of its whole numbers that are ternary are so in s8.
inline constexpr std::array kModelPrecisions{Precision::f32, Precision::bf16, Precision::s8};

constexpr bool is_integer(Precision precision) noexcept {
  return precision == Precision::s8 || precision == Precision::ternary;
}

/// One T for each precision.
template <class T>
struct PerPrecision {
  std::array<T, kPrecisions.size()> of{};

  constexpr const T& operator[](Precision p) const noexcept {
    return of[static_cast<std::size_t>(p)];
  }
  constexpr T& operator[](Precision p) noexcept { return of[static_cast<std::size_t>(p)]; }
  friend bool operator==(const PerPrecision&, const PerPrecision&) = default;
};

/// Bits of an element of each operand of C = A·B, as a kernel reads and writes them; of B, of so many
/// elements together.
struct ElementBits {
  Index a = 32, b = 32, c = 32;
  Index b_elements = 1;
};

/// y = f(x), element by element.
enum class Activation : std::uint8_t {
  none,
  gelu_erf,    ///< x/2 (1 + erf(x/sqrt 2))                          "gelu"
  gelu_tanh,   ///< x/2 (1 + tanh(sqrt(2/pi)(x + 0.044715 x^3)))     "gelu_new", "gelu_pytorch_tanh"
  gelu_quick,  ///< x sigmoid(1.702 x)                               "quick_gelu"
  relu,
  tanh,
  silu,         ///< x sigmoid(x)
  sigmoid,      ///< 1 / (1 + exp(-x))
  log1p_relu,   ///< log(1 + max(x, 0))                                SPLADE
  log1p2_relu,  ///< log(1 + log(1 + max(x, 0)))
};

const char* to_string(Activation activation) noexcept;
const char* to_string(DType type) noexcept;
const char* to_string(Precision precision) noexcept;

}  // namespace tessera
