// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/sparse.hpp"

#include <algorithm>
#include <cmath>

namespace tessera {

void heaviest(std::span<const float> row, std::vector<SparseElement>& elements) {
  elements.clear();
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i] != 0.0F) elements.push_back({static_cast<Index>(i), row[i]});  // NaN is not 0
  }
  const auto is_before = [](const SparseElement& a, const SparseElement& b) {
    const bool nan_a = std::isnan(a.weight), nan_b = std::isnan(b.weight);
    if (nan_a != nan_b) return nan_a;
    return nan_a || a.weight == b.weight ? a.id < b.id : a.weight > b.weight;
  };
  std::sort(elements.begin(), elements.end(), is_before);
}

void kept_elements(std::span<const float> row, std::vector<SparseElement>& elements) {
  elements.clear();
  const std::size_t k = row.size() / 2;
  for (std::size_t i = 0; i < k && row[k + i] >= 0.0F; ++i) {
    elements.push_back({static_cast<Index>(row[k + i]), row[i]});
  }
}

}  // namespace tessera
