// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/source_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "runtime/base/error.hpp"
#include "runtime/weights/scaled_rows.hpp"
#include "runtime/weights/ternary_rows.hpp"

namespace tessera {

Rows find_rows(const Checkpoint& checkpoint, const Source& source, Index cols) {
  if (source.tensor.empty()) return {.data = nullptr, .type = DType::f32, .rows = source.rows};
  const StoredTensor& tensor = checkpoint.at(source.tensor);
  const std::optional<DType> type = checkpoint.weight_type(tensor);
  if (!type) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: tensor \"{}\" is stored as {}, expected F32, F16 or BF16",
                            checkpoint.path_of(source.tensor).string(), source.tensor,
                            to_string(tensor.type)));
  }
  const Index tensor_rows = source.tensor_rows == 0 ? source.rows : source.tensor_rows;
  if (tensor.elements() != tensor_rows * cols) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: tensor \"{}\" has shape {} ({} elements), expected {} x {}",
                            checkpoint.path_of(source.tensor).string(), source.tensor,
                            shape_to_string(tensor.shape), tensor.elements(), tensor_rows, cols));
  }
  const Index first = source.first_row * cols;
  const bool is_ternary = tensor.type == StoredType::ternary;
  Rows rows{.data = tensor.data + (is_ternary ? 0 : first * size_of(*type)),
            .type = *type,
            .rows = source.rows,
            .scales = {}};
  if (*type == DType::s8) {
    rows.scales = checkpoint.scales(source.tensor);
    rows.factors = checkpoint.factors(source.tensor);
    rows.length = tensor.elements() / std::ssize(rows.scales);
    rows.first = first;
    if (is_ternary) rows.ternary = &tensor;
  }
  return rows;
}

std::pair<std::size_t, Index> locate(const Parameter& p, Index row) {
  std::size_t source = 0;
  while (row >= p.sources[source].rows) row -= p.sources[source++].rows;
  return {source, row};
}

const std::byte* RowReader::fetch(const Rows& rows, Index begin, Index n) {
  const std::size_t bytes = static_cast<std::size_t>(n * size_of(rows.type));
  fetched_.resize(std::max(fetched_.size(), bytes / sizeof(float) + 1));
  auto* const to = reinterpret_cast<std::byte*>(fetched_.data());
  if (rows.ternary != nullptr) {
    read_ternary(checkpoint_, *rows.ternary, rows.first + begin, n,
                 reinterpret_cast<std::int8_t*>(to));
    return to;
  }
  checkpoint_.read({rows.data + begin * size_of(rows.type), bytes}, to);
  return to;
}

void RowReader::widen(const Rows& rows, Index begin, Index n, float* to) {
  if (rows.data == nullptr) {
    std::fill_n(to, n, 0.0F);
  } else if (rows.type == DType::s8) {
    constexpr Index kPiece = 16384;
    for (Index i = 0; i < n; i += kPiece) {
      const Index part = std::min(kPiece, n - i), from = begin + i;
      widen_scaled(reinterpret_cast<const std::int8_t*>(fetch(rows, from, part)), rows.scales,
                   rows.length, rows.first + from, part, to + i);
      multiply_columns(rows.factors, rows.first + from, {to + i, static_cast<std::size_t>(part)});
    }
  } else {
    kernels_.widen(fetch(rows, begin, n), rows.type, to, n);
  }
}

}  // namespace tessera
