// SPDX-License-Identifier: Apache-2.0
// What a matrix product of one precision multiplies, at random.
#pragma once

#include "bench/support/machine_peaks.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/support/random.hpp"

namespace tessera::bench {

/// The precisions whose elements are numbers by themselves; rows of whole numbers have scales.
inline constexpr std::array kFloats{Precision::f32, Precision::bf16};

constexpr DType element_type(Precision precision) noexcept {
  return precision == Precision::bf16 ? DType::bf16 : DType::f32;
}

/// n elements of one precision, uniform on [-1, 1).
class Elements {
 public:
  Elements(Index n, Precision precision, std::uint64_t seed)
      : type_(element_type(precision)), memory_((n * size_of(type_) + 3) / 4) {
    test::Random random{seed};
    for (Index i = 0; i < n; ++i) {
      const float x = random.uniform(-1.0F, 1.0F);
      if (type_ == DType::f32) {
        memory_.data()[i] = x;
      } else {
        halves()[i] = reference::to_bf16(x);
      }
    }
  }

  /// Element i on.
  const void* from(Index i) const noexcept { return bytes() + i * size_of(type_); }
  double operator[](Index i) const noexcept {
    return static_cast<double>(type_ == DType::f32 ? memory_.data()[i]
                                                   : reference::widen_bf16(halves()[i]));
  }
  DType type() const noexcept { return type_; }

 private:
  const std::byte* bytes() const noexcept {
    return reinterpret_cast<const std::byte*>(memory_.data());
  }
  std::uint16_t* halves() noexcept { return reinterpret_cast<std::uint16_t*>(memory_.data()); }
  const std::uint16_t* halves() const noexcept {
    return reinterpret_cast<const std::uint16_t*>(memory_.data());
  }

  DType type_;
  LargeBuffer memory_;
};

}  // namespace tessera::bench
