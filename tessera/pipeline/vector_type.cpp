// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/vector_type.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "runtime/base/half.hpp"

namespace tessera {
namespace {

static_assert(std::endian::native == std::endian::little);

/// Steps above `low`, from `least` on, at most 255 of them; the fraction is dropped towards 0, behind
/// the sum.                                   quantization.py, ((e - starts) / steps - 128).astype(int8)
int code(float x, float low, float high, int least) noexcept {
  const float step = (high - low) / 255.0F;
  const float steps =
      (x - low) / step + static_cast<float>(least);  // NaN where x is, or low = high = x
  const int most = least + 255;
  if (steps >= static_cast<float>(most)) return most;
  return steps > static_cast<float>(least) ? static_cast<int>(steps) : least;
}

}  // namespace

const char* to_string(VectorType type) noexcept {
  switch (type) {
    case VectorType::f16:
      return "f16";
    case VectorType::int8:
      return "int8";
    case VectorType::uint8:
      return "uint8";
    case VectorType::binary:
      return "binary";
    case VectorType::ubinary:
      return "ubinary";
    case VectorType::f32:
      break;
  }
  return "f32";
}

const char* npy_descr(VectorType type) noexcept {
  switch (type) {
    case VectorType::f16:
      return "<f2";
    case VectorType::int8:
    case VectorType::binary:
      return "|i1";
    case VectorType::uint8:
    case VectorType::ubinary:
      return "|u1";
    case VectorType::f32:
      break;
  }
  return "<f4";
}

Ranges ranges_of(std::span<const float> rows, Index width) {
  const auto columns = static_cast<std::size_t>(width);
  Ranges ranges{.low = {rows.begin(), rows.begin() + width},
                .high = {rows.begin(), rows.begin() + width}};
  for (std::size_t i = columns; i < rows.size(); ++i) {
    float &low = ranges.low[i % columns], &high = ranges.high[i % columns];
    low = std::min(low, rows[i]);
    high = std::max(high, rows[i]);
  }
  return ranges;
}

std::string problem_of(const Ranges& ranges) {
  for (std::size_t i = 0; i < ranges.low.size(); ++i) {
    const float low = ranges.low[i], high = ranges.high[i];
    // The difference too: of it a step is made.
    if (low <= high && std::isfinite(high - low)) continue;
    return fmt::format(
        "column {} goes from {} to {}, expected finite numbers with a finite "
        "difference, the lower one first",
        i, low, high);
  }
  return {};
}

void narrow_row(std::span<const float> row, VectorType type, const Ranges& ranges,
                std::span<std::byte> out) {
  const auto put = [&out](std::size_t i, auto value) {
    std::memcpy(out.data() + i * sizeof(value), &value, sizeof(value));
  };
  switch (type) {
    case VectorType::f32:
      std::memcpy(out.data(), row.data(), row.size_bytes());
      return;
    case VectorType::f16:
      for (std::size_t i = 0; i < row.size(); ++i) put(i, half_of(row[i]));
      return;
    case VectorType::int8:
      for (std::size_t i = 0; i < row.size(); ++i) {
        put(i, static_cast<std::int8_t>(code(row[i], ranges.low[i], ranges.high[i], -128)));
      }
      return;
    case VectorType::uint8:
      for (std::size_t i = 0; i < row.size(); ++i) {
        put(i, static_cast<std::uint8_t>(code(row[i], ranges.low[i], ranges.high[i], 0)));
      }
      return;
    case VectorType::binary:
    case VectorType::ubinary:
      for (std::size_t i = 0; i < row.size() / 8; ++i) {
        unsigned bits = 0;
        for (std::size_t j = 0; j < 8; ++j) bits = bits << 1 | (row[8 * i + j] > 0.0F ? 1U : 0U);
        // −128 + bits as a byte is bits with the highest one turned over.
        put(i, static_cast<std::uint8_t>(type == VectorType::binary ? bits ^ 0x80U : bits));
      }
      return;
  }
}

double element(std::span<const std::byte> row, VectorType type, Index i) noexcept {
  const auto get = [&]<class T>(T value) {
    std::memcpy(&value, row.data() + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    return value;
  };
  switch (type) {
    case VectorType::f32:
      return static_cast<double>(get(0.0F));
    case VectorType::f16:
      return static_cast<double>(float_of_half(get(std::uint16_t{})));
    case VectorType::int8:
    case VectorType::binary:
      return get(std::int8_t{});
    case VectorType::uint8:
    case VectorType::ubinary:
      break;
  }
  return get(std::uint8_t{});
}

}  // namespace tessera
