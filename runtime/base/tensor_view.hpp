// SPDX-License-Identifier: Apache-2.0
// A matrix that somebody else owns: rows × cols with a row stride, all in elements.
#pragma once

#include <span>

#include "kernels/types.hpp"

namespace tessera {

template <class T>
struct TensorView {
  T* data = nullptr;
  Index rows = 0, cols = 0;
  Index stride = 0;  ///< elements from one row to the next, ≥ cols

  std::span<T> row(Index i) const noexcept {
    return {data + i * stride, static_cast<std::size_t>(cols)};
  }
};

}  // namespace tessera
