// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/quantized_rows.hpp"

#include <fmt/format.h>

#include <cmath>

#include "runtime/base/error.hpp"
#include "runtime/weights/input_factors.hpp"
#include "runtime/weights/scaled_rows.hpp"

namespace tessera {

QuantizedRows quantize_rows(const Checkpoint& own, const StoredTensor& tensor,
                            std::span<const float> factors, bool clips) {
  std::vector<float> w = own.values(tensor);
  divide_columns(w, factors);
  const auto N = static_cast<std::size_t>(tensor.shape[0]);
  const auto K = static_cast<std::size_t>(tensor.shape[1]);
  QuantizedRows result{std::vector<std::byte>(N * K), std::vector<float>(N)};
  RowQuantizer quantizer;
  for (std::size_t n = 0; n < N; ++n) {
    const std::span<const float> row = std::span(w).subspan(n * K, K);
    auto* const q = reinterpret_cast<std::int8_t*>(result.numbers.data() + n * K);
    result.scales[n] = clips ? quantizer.quantize_clipped(row, q) : quantizer.quantize(row, q);
    if (std::isfinite(result.scales[n])) continue;
    throw Error(
        ErrorCode::corrupt_file,
        fmt::format("{}: tensor \"{}\" holds a value that is not finite in row {}, expected "
                    "numbers",
                    own.path_of(tensor.name).string(), tensor.name, n));
  }
  return result;
}

}  // namespace tessera
