// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/max_sim.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/kernel_table.hpp"
#include "runtime/base/half.hpp"

namespace tessera {
namespace {

constexpr float kInt8 = 127.0F;
constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr Index kAhead = 4;  // tiles
constexpr Index kTiles =
    2;  // of rows, whose maxima are taken together: rows, products and Q fit in L1

/// `n` rounded up to a multiple of `step`.
constexpr Index up(Index n, Index step) noexcept {
  return (n + step - 1) / step * step;
}

/// Q as packed weights (N = rows of Q, K = width).
struct PackedQuery {
  PackedQuery(const kernels::Gemm& gemm, std::span<const float> query, Index width)
      : N(std::ssize(query) / width), columns(up(N, gemm.NR / 2)) {
    const auto bytes = static_cast<std::size_t>(gemm.panel_bytes(width));
    panels.resize(static_cast<std::size_t>(up(N, gemm.NR) / gemm.NR) * bytes / sizeof(float));
    for (Index n = 0; n < N; n += gemm.NR) {
      gemm.pack_panel({query.data() + n * width, DType::f32, width, std::min(gemm.NR, N - n), width,
                       reinterpret_cast<std::byte*>(panels.data()) +
                           static_cast<std::size_t>(n / gemm.NR) * bytes});
    }
  }

  Index N, columns;  // columns beyond N are zeros, computed with the others and left out
  std::vector<float> panels;
};

}  // namespace

void MaxSimIndex::add(std::span<const float> vectors) {
  const auto step = static_cast<std::size_t>(width_);
  begin_.push_back(begin_.back() + vectors.size() / step);
  if (store_ == VectorStore::f32) {
    f32_.insert(f32_.end(), vectors.begin(), vectors.end());
    return;
  }
  if (store_ == VectorStore::f16) {
    for (const float x : vectors) f16_.push_back(half_of(x));
    return;
  }
  for (std::size_t at = 0; at + step <= vectors.size(); at += step) {
    const std::span<const float> row = vectors.subspan(at, step);
    float largest = 0.0F;
    for (const float x : row) largest = std::max(largest, std::abs(x));
    const float scale = largest / kInt8;
    scales_.push_back(scale);
    for (const float x : row) {
      int8_.push_back(static_cast<std::int8_t>(scale > 0.0F ? std::nearbyint(x / scale) : 0.0F));
    }
  }
}

std::size_t MaxSimIndex::bytes() const noexcept {
  return f32_.size() * sizeof(float) + f16_.size() * sizeof(std::uint16_t) + int8_.size() +
         scales_.size() * sizeof(float);
}

void MaxSimIndex::scores(std::span<const float> query, Isa isa, std::span<float> out) const {
  const kernels::KernelTable& table = kernels::kernels_at(isa);
  const kernels::Gemm& gemm = table.gemm[Precision::f32];
  if (query.empty()) {
    std::fill(out.begin(), out.end(), 0.0F);
    return;
  }
  const PackedQuery packed(gemm, query, width_);
  const Index rows_at_once = kTiles * gemm.MR;
  std::vector<float> products(static_cast<std::size_t>(rows_at_once * packed.columns));
  std::vector<float> maxima(static_cast<std::size_t>(packed.columns)), tile(maxima);
  std::vector<float> widened;
  if (store_ != VectorStore::f32) widened.resize(static_cast<std::size_t>(rows_at_once * width_));

  const auto* const stored =
      store_ == VectorStore::f32   ? reinterpret_cast<const std::byte*>(f32_.data())
      : store_ == VectorStore::f16 ? reinterpret_cast<const std::byte*>(f16_.data())
                                   : reinterpret_cast<const std::byte*>(int8_.data());
  const std::size_t row_bytes =
      static_cast<std::size_t>(width_) * (store_ == VectorStore::f32   ? sizeof(float)
                                          : store_ == VectorStore::f16 ? sizeof(std::uint16_t)
                                                                       : sizeof(std::int8_t));

  // Rows [first, first + rows) as floats.
  const auto rows_of = [&](std::size_t first, Index rows) -> const float* {
    const std::size_t at = first * static_cast<std::size_t>(width_);
    if (store_ == VectorStore::f32) return f32_.data() + at;
    if (store_ == VectorStore::f16) {
      table.widen(f16_.data() + at, DType::f16, widened.data(), rows * width_);
      return widened.data();
    }
    for (Index r = 0; r < rows; ++r) {
      const float scale = scales_[first + static_cast<std::size_t>(r)];
      const std::int8_t* const from = int8_.data() + at + r * width_;
      float* const to = widened.data() + r * width_;
      for (Index k = 0; k < width_; ++k) to[k] = scale * static_cast<float>(from[k]);
    }
    return widened.data();
  };
  for (std::size_t document = 0; document < size(); ++document) {
    const std::size_t begin = begin_[document], end = begin_[document + 1];
    for (std::size_t first = begin; first < end; first += static_cast<std::size_t>(rows_at_once)) {
      const Index rows = std::min(rows_at_once, static_cast<Index>(end - first));
      const float* const d = rows_of(first, rows);
      for (Index r = 0; r < rows; r += gemm.MR) {
        // Rows come from memory while those before them are multiplied.
        const std::size_t next = first + static_cast<std::size_t>(r + kAhead * gemm.MR);
        const bool reads = next < vectors();
        gemm.run({.a = d + r * width_,
                  .lda = width_,
                  .b = packed.panels.data(),
                  .ldb = gemm.panel_bytes(width_),
                  .c = products.data() + r * packed.columns,
                  .ldc = packed.columns,
                  .mr = std::min(gemm.MR, rows - r),
                  .nr = packed.columns,
                  .kc = width_,
                  .ahead = reads ? stored + next * row_bytes : nullptr,
                  .ahead_bytes = reads ? gemm.MR * static_cast<Index>(row_bytes) : 0,
                  .resident = true});
      }
      std::vector<float>& into = first == begin ? maxima : tile;
      table.max_rows(products.data(), packed.columns, rows, packed.columns, into.data());
      for (std::size_t n = 0; first != begin && n < maxima.size(); ++n) {
        maxima[n] = tile[n] > maxima[n] || std::isnan(tile[n]) ? tile[n] : maxima[n];
      }
    }
    const auto counted = maxima.begin() + packed.N;
    out[document] = begin == end ? kLowest : std::accumulate(maxima.begin(), counted, 0.0F);
  }
}

std::vector<Hit> MaxSimIndex::find(std::span<const float> query, std::size_t count, bool is_mean,
                                   Isa isa) const {
  std::vector<float> all(size());
  scores(query, isa, all);
  for (float& score : all) {
    if (std::isnan(score)) score = kLowest;
  }
  const float divisor =
      is_mean ? static_cast<float>(std::max<Index>(1, std::ssize(query) / width_)) : 1.0F;
  std::vector<std::size_t> order(size());
  std::iota(order.begin(), order.end(), 0U);
  const auto kept = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size()));
  std::partial_sort(order.begin(), kept, order.end(), [&](std::size_t a, std::size_t b) {
    return all[a] != all[b] ? all[a] > all[b] : a < b;
  });
  std::vector<Hit> hits;
  for (auto at = order.begin(); at != kept; ++at) hits.push_back({*at, all[*at] / divisor});
  return hits;
}

}  // namespace tessera
