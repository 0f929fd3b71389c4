// SPDX-License-Identifier: Apache-2.0
// Rows of a matrix parameter as they are packed: what is made of its sources at load, as f32.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/program/parameter.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "runtime/weights/source_rows.hpp"

namespace tessera {

/// A whole tensor (rows, cols) as f32.
std::vector<float> load_tensor(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
                               const std::string& tensor, Index rows, Index cols);

/// One factor for each row, or none (Parameter::row_scale).
std::vector<double> row_scales(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
                               const Parameter& p);

/// y = s ⊙ x + t of Parameter::batch_norm; empty where there is none.
struct BatchNormFactors {
  std::vector<double> s{}, t{};
};
BatchNormFactors batch_norm_factors(const Checkpoint& checkpoint,
                                    const kernels::KernelTable& kernels, const Parameter& p);

class MatrixRows {
 public:
  /// `p` outlives this.
  MatrixRows(const Checkpoint& checkpoint, const kernels::KernelTable& kernels, const Parameter& p);

  /// Whether rows are those of the sources, as stored.
  bool is_stored() const noexcept { return is_stored_; }
  /// Rows [first, first + n), (n,K); until the next call.
  std::span<float> rows(Index first, Index n);

 private:
  void gather_columns(Index first, Index n);
  void subtract_row(Index row, float* from);
  void order_by_taps(float* row);

  const Checkpoint& checkpoint_;
  const Parameter& p_;
  RowReader reader_;
  std::vector<double> scale_;         // (rows), or none
  std::vector<double> column_scale_;  // (K), or none
  bool is_stored_;
  std::vector<float> gathered_, copy_;
};

}  // namespace tessera
