// SPDX-License-Identifier: Apache-2.0
// Vectors, and the exact ranking of them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tessera/pipeline/byte_sink.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera {

/// Rows that are searched. Immutable, thread-safe.
class VectorIndex {
 public:
  using Measure = models::SimilarityMeasure;

  VectorIndex() = default;
  /// Of cosine each of `rows` (n, width) is divided by its length; width ≥ 1.
  VectorIndex(std::vector<float> rows, Index width, Measure measure = Measure::cosine);
  /// Reads vectors from an .npy file. Errors: as read_npy(); corrupt_file naming a row that has an
  /// infinity or NaN.
  static VectorIndex load(const std::string& path, Measure measure = Measure::cosine);
  /// As .npy, float32: the rows as they are searched.
  void save(ByteSink& out) const;

  std::size_t size() const noexcept { return size_; }
  Index width() const noexcept { return width_; }

  /// The `count` rows that agree best with `query` (width), which of cosine becomes a unit vector.
  std::vector<Hit> find(std::span<float> query, std::size_t count) const;

 private:
  std::vector<float> rows_;  // (size_, width_)
  std::size_t size_ = 0;
  Index width_ = 0;
  Measure measure_ = Measure::cosine;
};

}  // namespace tessera
