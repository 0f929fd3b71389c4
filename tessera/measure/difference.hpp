// SPDX-License-Identifier: Apache-2.0
//
// How far the rows of one matrix are from those of another: of each pair of rows
//
//   1 - cos(a, b) = ½·‖a/‖a‖ − b/‖b‖‖²      in double
//
// which is exactly 0 where the rows are equal and keeps its digits where they nearly are: 1 − a·b/(‖a‖‖b‖)
// rounds at 1e-16, and that is √(2e-16) = 1.5e-8 of a direction. Two rows of zeros are equal; one of zeros
// is at 1 from any other.
#pragma once

#include <cstddef>

#include "runtime/base/tensor_view.hpp"

namespace tessera {

/// Anything that is not finite in either matrix makes what it goes into NaN (`most` and `relative` may be
/// infinite): never less than it is.
struct Difference {
  double worst = 0;     ///< largest 1 − cos of a row
  Index worst_row = 0;  ///< where that is; the first NaN, if there is one
  double mean = 0;      ///< of 1 − cos over the rows
  double most = 0;      ///< max |a − b|
  double relative = 0;  ///< most / max |b|; 0 where both are 0
  /// Elements that are NaN or infinite, of a and of b.
  std::size_t not_finite[2] = {0, 0};

  bool is_any() const noexcept { return !(most == 0); }
};

/// Of `a` from `b`. Precondition: the same shape.
Difference difference_of(TensorView<const float> a, TensorView<const float> b) noexcept;

}  // namespace tessera
