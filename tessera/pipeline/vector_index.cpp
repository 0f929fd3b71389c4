// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/vector_index.hpp"

#include <fmt/format.h>

#include <utility>

#include "runtime/base/error.hpp"
#include "tessera/pipeline/embedding_writer.hpp"

namespace tessera {

VectorIndex::VectorIndex(std::vector<float> rows, Index width, Measure measure)
    : rows_(std::move(rows)),
      size_(rows_.size() / static_cast<std::size_t>(width)),
      width_(width),
      measure_(measure) {
  if (measure_ == Measure::cosine) normalize_rows(rows_, width_);
}

VectorIndex VectorIndex::load(const std::string& path, Measure measure) {
  const NpyMatrix matrix = read_npy(path);
  const auto width = static_cast<std::size_t>(matrix.width);
  std::vector<float> rows(matrix.values.get(), matrix.values.get() + matrix.rows * width);
  const std::size_t bad = first_not_finite(rows);
  if (bad != rows.size()) {
    throw Error(ErrorCode::corrupt_file, fmt::format("{}: row {} has {}, expected finite numbers",
                                                     path, bad / width, rows[bad]));
  }
  return matrix.rows == 0 ? VectorIndex() : VectorIndex(std::move(rows), matrix.width, measure);
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
  if (measure_ == Measure::cosine) normalize_rows(query, width_);
  return best_rows(rows_, query, count, measure_);
}

}  // namespace tessera
