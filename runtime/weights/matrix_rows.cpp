// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/matrix_rows.hpp"

#include <cmath>

namespace tessera {
namespace {

float product(float x, double factor) {
  return static_cast<float>(static_cast<double>(x) * factor);
}

}  // namespace

std::vector<float> load_tensor(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
                               const std::string& tensor, Index rows, Index cols) {
  std::vector<float> values(static_cast<std::size_t>(rows * cols));
  RowReader(checkpoint, kernels)
      .widen(find_rows(checkpoint, {.tensor = tensor, .rows = rows}, cols), 0, rows * cols,
             values.data());
  return values;
}

std::vector<double> row_scales(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
                               const Parameter& p) {
  if (p.row_scale.empty()) return {};
  const std::vector<float> scale = load_tensor(checkpoint, kernels, p.row_scale, p.rows, 1);
  return {scale.begin(), scale.end()};
}

BatchNormFactors batch_norm_factors(const Checkpoint& checkpoint,
                                    const kernels::KernelTable& kernels, const Parameter& p) {
  const BatchNorm& norm = p.batch_norm;
  if (norm.gamma.empty()) return {};
  const auto n = static_cast<Index>(checkpoint.at(norm.gamma).elements());
  const auto load = [&](const std::string& tensor) {
    return load_tensor(checkpoint, kernels, tensor, n, 1);
  };
  const std::vector<float> gamma = load(norm.gamma), beta = load(norm.beta), mean = load(norm.mean),
                           variance = load(norm.variance);
  BatchNormFactors factors;
  for (std::size_t i = 0; i < gamma.size(); ++i) {
    const double s =
        static_cast<double>(gamma[i]) / std::sqrt(static_cast<double>(variance[i]) + norm.eps);
    factors.s.push_back(s);
    factors.t.push_back(static_cast<double>(beta[i]) - static_cast<double>(mean[i]) * s);
  }
  return factors;
}

MatrixRows::MatrixRows(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
                       const Parameter& p)
    : checkpoint_(checkpoint), p_(p), reader_(checkpoint, kernels) {
  std::vector<double> norm = batch_norm_factors(checkpoint, kernels, p).s;
  if (p.batch_norm.comes_first) {
    column_scale_ = std::move(norm);
  } else {
    scale_ = norm.empty() ? row_scales(checkpoint, kernels, p) : std::move(norm);
  }
  is_stored_ =
      scale_.empty() && column_scale_.empty() && p.taps == 1 && p.minus.rows == 0 && !p.transposed;
}

std::span<float> MatrixRows::rows(Index first, Index n) {
  const Index K = p_.cols;
  gathered_.resize(static_cast<std::size_t>(n * K));
  if (p_.transposed) {
    gather_columns(first, n);
    return gathered_;
  }
  for (Index j = 0; j < n; ++j) {
    float* const row = gathered_.data() + j * K;
    const auto [source, row_of_source] = locate(p_, first + j);
    reader_.widen(find_rows(checkpoint_, p_.sources[source], K), row_of_source * K, K, row);
    subtract_row(first + j, row);
    for (Index k = 0; k < K && !scale_.empty(); ++k) {
      row[k] = product(row[k], scale_[static_cast<std::size_t>(first + j)]);
    }
    for (Index k = 0; k < K && !column_scale_.empty(); ++k) {
      row[k] = product(row[k], column_scale_[static_cast<std::size_t>(k)]);
    }
    if (p_.taps != 1) order_by_taps(row);
  }
  return gathered_;
}

/// Rows of a transposed parameter: columns of its source, which is (K, rows).
void MatrixRows::gather_columns(Index first, Index n) {
  const Rows rows = find_rows(checkpoint_, p_.sources.front(), p_.rows);
  copy_.resize(static_cast<std::size_t>(n));
  for (Index k = 0; k < p_.cols; ++k) {
    reader_.widen(rows, k * p_.rows + first, n, copy_.data());
    for (Index j = 0; j < n; ++j) {
      gathered_[static_cast<std::size_t>(j * p_.cols + k)] = copy_[static_cast<std::size_t>(j)];
    }
  }
}

void MatrixRows::subtract_row(Index row, float* from) {
  if (p_.minus.rows == 0) return;
  copy_.resize(static_cast<std::size_t>(p_.cols));
  reader_.widen(find_rows(checkpoint_, p_.minus, p_.cols), row * p_.cols, p_.cols, copy_.data());
  for (Index k = 0; k < p_.cols; ++k) from[k] -= copy_[static_cast<std::size_t>(k)];
}

/// A row of (k, tap) becomes one of (tap, k).
void MatrixRows::order_by_taps(float* row) {
  copy_.assign(row, row + p_.cols);
  const Index channels = p_.cols / p_.taps;
  for (Index k = 0; k < channels; ++k) {
    for (Index t = 0; t < p_.taps; ++t) {
      row[t * channels + k] = copy_[static_cast<std::size_t>(k * p_.taps + t)];
    }
  }
}

}  // namespace tessera
