// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/whole_panels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "runtime/weights/input_factors.hpp"
#include "runtime/weights/scaled_rows.hpp"
#include "runtime/weights/source_rows.hpp"

namespace tessera {

namespace {

/// Rows of `p` are rows of its sources, times a row_scale at most.
bool keeps_rows(const Parameter& p) {
  return !p.transposed && p.taps == 1 && p.minus.rows == 0 && p.batch_norm.gamma.empty();
}

}  // namespace

bool is_stored_ternary(const Checkpoint& checkpoint, const Parameter& p) {
  return p.kind == ParameterKind::matrix && keeps_rows(p) &&
         std::all_of(p.sources.begin(), p.sources.end(), [&](const Source& source) {
           const StoredTensor* const tensor = checkpoint.find(source.tensor);
           return tensor != nullptr && tensor->type == StoredType::ternary;
         });
}

bool packs_whole_rows(const Checkpoint& checkpoint, const Parameter& p) {
  const auto is_whole = [&](const Source& source) {
    return !checkpoint.scales(source.tensor).empty();
  };
  return keeps_rows(p) && (!p.row_scale.empty() || p.clips ||
                           std::any_of(p.sources.begin(), p.sources.end(), is_whole));
}

bool pack_whole_rows(const Checkpoint& checkpoint, const kernels::KernelTable& kernels,
                     const Parameter& p, std::span<const double> row_scale,
                     std::span<const float> factors, std::byte* panels) {
  const kernels::Gemm& gemm = kernels.gemm[p.precision];
  const Index NR = gemm.NR, K = p.cols;
  RowReader reader(checkpoint, kernels);
  RowQuantizer quantizer;
  std::vector<std::int8_t> q(static_cast<std::size_t>(NR * K));  // (NR,K)
  std::vector<float> scales(static_cast<std::size_t>(NR)), row(static_cast<std::size_t>(K));

  /// Rows [first, first + n) of a source.
  const auto quantize = [&](const Rows& rows, Index first, Index n, std::int8_t* to, float* scale) {
    if (rows.type == DType::s8) {
      std::memcpy(to, reader.fetch(rows, first * K, n * K), static_cast<std::size_t>(n * K));
      const Index row_of_tensor = rows.first / rows.length + first;
      std::copy_n(rows.scales.begin() + row_of_tensor, n, scale);
      return;
    }
    for (Index j = 0; j < n; ++j) {
      reader.widen(rows, (first + j) * K, K, row.data());
      divide_columns(row, factors);
      scale[j] = p.clips ? quantizer.quantize_clipped(row, to + j * K)
                         : quantizer.quantize(row, to + j * K);
    }
  };

  bool is_finite = true;
  for (Index n0 = 0; n0 < p.rows; n0 += NR) {
    const Index nr = std::min(NR, p.rows - n0);
    for (Index j = 0; j < nr;) {  // a panel may span two sources
      const auto [source, first] = locate(p, n0 + j);
      const Rows rows = find_rows(checkpoint, p.sources[source], K);
      const Index n = std::min(nr - j, rows.rows - first);
      quantize(rows, first, n, q.data() + j * K, scales.data() + j);
      j += n;
    }
    for (Index j = 0; j < nr; ++j) {
      float& scale = scales[static_cast<std::size_t>(j)];
      if (!row_scale.empty()) {
        scale = static_cast<float>(static_cast<double>(scale) *
                                   row_scale[static_cast<std::size_t>(n0 + j)]);
      }
      is_finite = is_finite && std::isfinite(scale);
    }
    gemm.pack_panel(
        {q.data(), DType::s8, K, nr, K, panels + n0 / NR * gemm.panel_bytes(K), scales.data()});
  }
  return is_finite;
}

}  // namespace tessera
