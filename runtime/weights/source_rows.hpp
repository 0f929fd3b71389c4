// SPDX-License-Identifier: Apache-2.0
// Rows of the tensors that a parameter is made of, read from a checkpoint a piece at a time.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/program/parameter.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {

/// A source as stored: `rows` rows. data is null for zeros, and mapped: what is read of it goes through
/// Checkpoint::read(), since touching the pages of a file that is cut is SIGBUS. What of it is ternary is s8
/// where it is fetched.
struct Rows {
  const std::byte* data = nullptr;
  DType type = DType::f32;
  Index rows = 0;
  // Of s8: w = q·scale of the tensor's row, of `length` elements, times the factor of its column, if
  // there are factors; data is its element `first`.
  std::span<const float> scales{}, factors{};
  Index length = 0, first = 0;
  const StoredTensor* ternary = nullptr;  ///< whose first byte is data, then
};

/// Throws Error{not_found; unsupported_model: a dtype that no weight has; corrupt_file: another size}.
Rows find_rows(const Checkpoint& checkpoint, const Source& source, Index cols);

/// The source that holds row `row` of `p`, and the row's index in it.
std::pair<std::size_t, Index> locate(const Parameter& p, Index row);

class RowReader {
 public:
  RowReader(const Checkpoint& checkpoint, const kernels::KernelTable& kernels)
      : checkpoint_(checkpoint), kernels_(kernels) {}

  /// Elements [begin, begin + n) of a source that is not zeros, in its type; aligned, until the next
  /// call. Throws Error{corrupt_file} (ternary_rows.hpp).
  const std::byte* fetch(const Rows& rows, Index begin, Index n);
  /// The same of any source as f32.
  void widen(const Rows& rows, Index begin, Index n, float* to);

 private:
  const Checkpoint& checkpoint_;
  const kernels::KernelTable& kernels_;
  std::vector<float> fetched_;
};

}  // namespace tessera
