// SPDX-License-Identifier: Apache-2.0
//
// Activations in double, by the formulas of kernels/types.hpp.
#pragma once

#include <cmath>
#include <numbers>

#include "kernels/types.hpp"

namespace tessera::reference {

inline double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

inline double activate(Activation act, double x) {
  switch (act) {
    case Activation::none:
      return x;
    case Activation::gelu_erf:
      return x / 2 * (1 + std::erf(x / std::numbers::sqrt2));
    case Activation::gelu_tanh: {
      const double u = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
      return x / 2 * (1 + std::tanh(u));
    }
    case Activation::gelu_quick:
      return x * sigmoid(1.702 * x);
    case Activation::relu:
      return std::isnan(x) ? x : std::fmax(x, 0.0);
    case Activation::tanh:
      return std::tanh(x);
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::log1p_relu:
      return std::isnan(x) ? x : std::log1p(std::fmax(x, 0.0));
    case Activation::log1p2_relu:
      return std::isnan(x) ? x : std::log1p(std::log1p(std::fmax(x, 0.0)));
  }
  return std::nan("");
}

}  // namespace tessera::reference
