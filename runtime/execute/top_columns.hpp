// SPDX-License-Identifier: Apache-2.0
//
// The k largest elements of a row that comes in pieces, in the order of TopColumnsOp: NaN first, then the
// larger number, of equal ones the lower column; 0 is none. The row of 2k floats is a heap whose root is
// the element that goes next.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/types.hpp"

namespace tessera::execute {

class TopColumns {
 public:
  /// `row`: k values, then their k columns.
  TopColumns(float* row, Index k) noexcept : values_(row), columns_(row + k), k_(k) {}

  /// No element: 0 of column -1.
  void clear() noexcept {
    std::fill_n(values_, k_, 0.0F);
    std::fill_n(columns_, k_, -1.0F);
  }

  /// Elements x[0 … N) of the columns from `first` on, each offered once.
  void offer(const float* x, Index N, Index first) noexcept {
    for (Index n = 0; n < N; ++n) {
      if (x[n] == 0.0F || (columns_[0] >= 0.0F && x[n] < values_[0])) continue;
      offer(x[n], static_cast<float>(first + n));
    }
  }
  void offer(float value, float column) noexcept {
    if (!is_before(value, column, 0)) return;
    values_[0] = value;
    columns_[0] = column;
    sink(0, k_);
  }
  /// What `other`, of as many, has.
  void offer(const TopColumns& other) noexcept {
    for (Index i = 0; i < k_; ++i) {
      if (other.columns_[i] >= 0.0F) offer(other.values_[i], other.columns_[i]);
    }
  }

  /// The first one first. No more may be offered.
  void sort() noexcept {
    for (Index size = k_ - 1; size > 0; --size) {
      exchange(0, size);
      sink(0, size);
    }
  }

 private:
  bool is_before(float value, float column, Index i) const noexcept {
    if (columns_[i] < 0.0F || column < 0.0F) return column >= 0.0F && columns_[i] < 0.0F;
    const bool is_nan = std::isnan(value), nan_i = std::isnan(values_[i]);
    if (is_nan != nan_i) return is_nan;
    return is_nan || value == values_[i] ? column < columns_[i] : value > values_[i];
  }
  void exchange(Index i, Index j) noexcept {
    std::swap(values_[i], values_[j]);
    std::swap(columns_[i], columns_[j]);
  }
  void sink(Index i, Index size) noexcept {
    for (Index child = 2 * i + 1; child < size; child = 2 * i + 1) {
      if (child + 1 < size && is_before(values_[child], columns_[child], child + 1)) ++child;
      if (!is_before(values_[i], columns_[i], child)) return;
      exchange(i, child);
      i = child;
    }
  }

  float* values_;
  float* columns_;
  Index k_;
};

}  // namespace tessera::execute
