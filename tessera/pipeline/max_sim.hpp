// SPDX-License-Identifier: Apache-2.0
//
// Late interaction's score, exactly:
//
//   MaxSim(Q, D) = Σ_i max_j ⟨q_i, d_j⟩        q_i: vectors of the query, d_j: of the document
//
// The products S = D Qᵀ are a matrix product with Q as the packed weights, which stay in L1, while the
// rows of D stream past, a tile of them at a time; the maximum of each column joins tile by tile. No S
// is held. Rows that are stored as f16 or int8 are widened a tile at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/isa.hpp"
#include "kernels/types.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera {

/// How the vectors of documents are kept.
enum class VectorStore : std::uint8_t {
  f32,
  f16,   ///< to nearest even
  int8,  ///< d_j = s_j · (−127 … 127), s_j = max |d_j| / 127, a float each
};

/// Texts as lists of vectors. Immutable once filled, thread-safe.
class MaxSimIndex {
 public:
  explicit MaxSimIndex(Index width, VectorStore store = VectorStore::f32)
      : width_(width), store_(store) {}

  /// The next document: (rows, width); it may have none.
  void add(std::span<const float> vectors);

  std::size_t size() const noexcept { return begin_.size() - 1; }
  Index width() const noexcept { return width_; }
  std::size_t vectors() const noexcept { return begin_.back(); }
  std::size_t bytes() const noexcept;

  /// The score of every document, out (size()), by the kernels of `isa`; of a document without
  /// vectors −infinity. `query` (rows, width), of which there may be none: then all are 0.
  void scores(std::span<const float> query, Isa isa, std::span<float> out) const;
  /// The `count` best, falling, ties by number, NaN as −infinity; `is_mean`: scores divided by the
  /// query's rows.
  std::vector<Hit> find(std::span<const float> query, std::size_t count, bool is_mean,
                        Isa isa) const;

 private:
  Index width_;
  VectorStore store_;
  std::vector<std::size_t> begin_{0};  // (size+1), vectors
  std::vector<float> f32_;             // (vectors, width)
  std::vector<std::uint16_t> f16_;
  std::vector<std::int8_t> int8_;
  std::vector<float> scales_;  // (vectors)
};

}  // namespace tessera
