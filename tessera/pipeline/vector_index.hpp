// SPDX-License-Identifier: Apache-2.0
// Vectors, and the exact ranking of them by cosine.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tessera/pipeline/byte_sink.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera {

/// Rows of length 1, or of zeros. Immutable, thread-safe.
class VectorIndex {
 public:
  VectorIndex() = default;
  /// Divides each of `rows` (n, width) by its length; width ≥ 1.
  VectorIndex(std::vector<float> rows, Index width);
  /// Reads what save() wrote. Errors: as read_npy(); corrupt_file naming a row whose length is
  /// neither 1 nor 0.
  static VectorIndex load(const std::string& path);
  /// As .npy, float32.
  void save(ByteSink& out) const;

  std::size_t size() const noexcept { return size_; }
  Index width() const noexcept { return width_; }

  /// The `count` rows with the largest cosine with `query` (width), which becomes a unit vector.
  std::vector<Hit> find(std::span<float> query, std::size_t count) const;

 private:
  std::vector<float> rows_;  // (size_, width_)
  std::size_t size_ = 0;
  Index width_ = 0;
};

}  // namespace tessera
