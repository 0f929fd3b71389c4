// SPDX-License-Identifier: Apache-2.0
// Words that every layer shares: the index type, element types, activations.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera {

/// All extents and strides, in elements.
using Index = std::ptrdiff_t;

/// Element type of stored weights. Everything is computed in f32.
enum class DType : std::uint8_t { f32, f16, bf16 };

constexpr Index size_of(DType type) noexcept {
  return type == DType::f32 ? 4 : 2;
}

/// y = f(x), element by element.
enum class Activation : std::uint8_t {
  none,
  gelu_erf,    ///< x/2 (1 + erf(x/sqrt 2))                          "gelu"
  gelu_tanh,   ///< x/2 (1 + tanh(sqrt(2/pi)(x + 0.044715 x^3)))     "gelu_new", "gelu_pytorch_tanh"
  gelu_quick,  ///< x sigmoid(1.702 x)                               "quick_gelu"
  relu,
  tanh,
  silu,     ///< x sigmoid(x)
  sigmoid,  ///< 1 / (1 + exp(-x))
};

const char* to_string(Activation activation) noexcept;
const char* to_string(DType type) noexcept;

}  // namespace tessera
