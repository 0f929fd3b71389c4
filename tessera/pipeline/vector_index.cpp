// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/vector_index.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/embedding_writer.hpp"

namespace tessera {

VectorIndex::VectorIndex(std::vector<float> rows, Index width)
    : rows_(std::move(rows)), size_(rows_.size() / static_cast<std::size_t>(width)), width_(width) {
  normalize_rows(rows_, width_);
}

VectorIndex VectorIndex::load(const std::string& path) {
  const NpyMatrix matrix = read_npy(path);
  const auto width = static_cast<std::size_t>(matrix.width);
  VectorIndex index;
  index.rows_.assign(matrix.values.get(), matrix.values.get() + matrix.rows * width);
  index.size_ = matrix.rows;
  index.width_ = matrix.width;
  for (std::size_t row = 0; row < matrix.rows; ++row) {
    double sum = 0.0;
    for (const float x : std::span(index.rows_).subspan(row * width, width)) {
      sum += static_cast<double>(x) * static_cast<double>(x);
    }
    // Rounding to float moves the length by less than 1e-6.
    if (sum == 0.0 || std::abs(std::sqrt(sum) - 1.0) < 1e-4) continue;
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: row {} has length {:.6g}, expected 1: vectors that an index saved",
                            path, row, std::sqrt(sum)));
  }
  return index;
}

void VectorIndex::save(ByteSink& out) const {
  const auto writer = MatrixWriter::create(MatrixFormat::npy, out, width_);
  for (std::size_t row = 0; row < size_; ++row) {
    const auto step = static_cast<std::size_t>(width_);
    writer->write_row(std::span(rows_).subspan(row * step, step), std::nullopt);
  }
  writer->finish();
}

std::vector<Hit> VectorIndex::find(std::span<float> query, std::size_t count) const {
  normalize_rows(query, width_);
  return best_rows(rows_, query, count);
}

}  // namespace tessera
