// SPDX-License-Identifier: Apache-2.0
// The dtypes of safetensors: spelling, width, and which of them can be weights; a file's tensors.
#include "runtime/weights/stored_tensor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>

namespace tessera {
namespace {

struct TypeFacts {
  StoredType type;
  const char* name;
  int bits;
};

constexpr std::array kTypes{
    TypeFacts{StoredType::boolean, "BOOL", 8},
    TypeFacts{StoredType::u8, "U8", 8},
    TypeFacts{StoredType::i8, "I8", 8},
    TypeFacts{StoredType::u16, "U16", 16},
    TypeFacts{StoredType::i16, "I16", 16},
    TypeFacts{StoredType::u32, "U32", 32},
    TypeFacts{StoredType::i32, "I32", 32},
    TypeFacts{StoredType::u64, "U64", 64},
    TypeFacts{StoredType::i64, "I64", 64},
    TypeFacts{StoredType::f16, "F16", 16},
    TypeFacts{StoredType::bf16, "BF16", 16},
    TypeFacts{StoredType::f32, "F32", 32},
    TypeFacts{StoredType::f64, "F64", 64},
    TypeFacts{StoredType::c64, "C64", 64},
    TypeFacts{StoredType::f8_e4m3, "F8_E4M3", 8},
    TypeFacts{StoredType::f8_e5m2, "F8_E5M2", 8},
    TypeFacts{StoredType::f8_e8m0, "F8_E8M0", 8},
    TypeFacts{StoredType::f8_e4m3fnuz, "F8_E4M3FNUZ", 8},
    TypeFacts{StoredType::f8_e5m2fnuz, "F8_E5M2FNUZ", 8},
    TypeFacts{StoredType::f6_e2m3, "F6_E2M3", 6},
    TypeFacts{StoredType::f6_e3m2, "F6_E3M2", 6},
    TypeFacts{StoredType::f4, "F4", 4},
    TypeFacts{StoredType::ternary, "U8 of four 2-bit codes", 2},  // the last: no file says so
};

constexpr bool in_order_of_the_enumeration() {
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (static_cast<std::size_t>(kTypes[i].type) != i) return false;
  }
  return kTypes.size() == static_cast<std::size_t>(StoredType::ternary) + 1;
}
static_assert(in_order_of_the_enumeration());

const TypeFacts& facts(StoredType type) noexcept {
  return kTypes[static_cast<std::size_t>(type)];
}

}  // namespace

const char* to_string(StoredType type) noexcept {
  return facts(type).name;
}

int bits_of(StoredType type) noexcept {
  return facts(type).bits;
}

std::optional<StoredType> stored_type_from_string(std::string_view name) noexcept {
  for (const TypeFacts& known : kTypes) {
    if (name == known.name && known.type != StoredType::ternary) return known.type;
  }
  return std::nullopt;
}

std::optional<DType> weight_dtype(StoredType type) noexcept {
  switch (type) {
    case StoredType::f32:
      return DType::f32;
    case StoredType::f16:
      return DType::f16;
    case StoredType::bf16:
      return DType::bf16;
    default:
      return std::nullopt;
  }
}

std::optional<std::uint64_t> bits_without_zeros(StoredType type,
                                                std::span<const std::int64_t> shape) noexcept {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  auto bits = static_cast<std::uint64_t>(bits_of(type));
  for (const std::int64_t extent : shape) {
    if (extent == 0) continue;
    if (bits > kMax / static_cast<std::uint64_t>(extent)) return std::nullopt;
    bits *= static_cast<std::uint64_t>(extent);
  }
  return bits;
}

std::string shape_to_string(std::span<const std::int64_t> shape) {
  constexpr std::size_t kShown = 16;  // a file may claim thousands
  if (shape.size() <= kShown) return fmt::format("({})", fmt::join(shape, ", "));
  return fmt::format("({}, ... {} extents)", fmt::join(shape.first(kShown), ", "), shape.size());
}

std::int64_t StoredTensor::elements() const noexcept {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;
  return product;
}

const StoredTensor* TensorFile::find(std::string_view name) const noexcept {
  const auto at = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [&](std::uint32_t i, std::string_view wanted) { return tensors_[i].name < wanted; });
  return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
}

std::optional<std::string_view> TensorFile::set_tensors(std::vector<StoredTensor> tensors) {
  tensors_ = std::move(tensors);
  by_name_.clear();
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    by_name_.push_back(static_cast<std::uint32_t>(i));
  }
  const auto name = [&](std::uint32_t i) -> std::string_view { return tensors_[i].name; };
  std::sort(by_name_.begin(), by_name_.end(),
            [&](std::uint32_t a, std::uint32_t b) { return name(a) < name(b); });
  const auto twice =
      std::adjacent_find(by_name_.begin(), by_name_.end(),
                         [&](std::uint32_t a, std::uint32_t b) { return name(a) == name(b); });
  if (twice == by_name_.end()) return std::nullopt;
  return name(*twice);
}

std::span<std::byte> TensorFile::own(std::size_t bytes) {
  return owned_.emplace_back(bytes);
}

}  // namespace tessera
