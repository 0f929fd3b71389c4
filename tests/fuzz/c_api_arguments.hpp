// SPDX-License-Identifier: Apache-2.0
// Arguments of C functions out of the bytes of an input. What a library has to believe is true: a buffer
// has the elements that its count says, in a block of exactly that size, so that every step beyond
// is seen. Everything else may be anything.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {

/// The bytes of the input, one after another; zeros behind them.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  bool empty() const noexcept { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }
  std::size_t below(std::size_t count) { return byte() % count; }
  /// One in sixteen; what is rare leaves the rest of a call good.
  bool rarely() { return byte() % 16 == 15; }

  /// A small number, or one at an edge of a type.
  template <class T>
  T number() {
    constexpr std::array<std::uint64_t, 14> kEdges = {~std::uint64_t{0},
                                                      std::uint64_t{1} << 63,
                                                      ~std::uint64_t{0} >> 1,
                                                      std::uint64_t{1} << 62,
                                                      std::uint64_t{1} << 61,
                                                      std::uint64_t{1} << 60,
                                                      std::uint64_t{1} << 40,
                                                      std::uint64_t{1} << 32,
                                                      std::uint64_t{1} << 31,
                                                      (std::uint64_t{1} << 31) - 1,
                                                      65536,
                                                      4096,
                                                      1024,
                                                      1025};
    const std::uint8_t b = byte();
    return static_cast<T>(b < 224 ? b % 64 : kEdges[b % kEdges.size()]);
  }
  /// A count that nobody can mean.
  std::size_t absurd() {
    constexpr std::array<std::size_t, 3> kEdges = {SIZE_MAX, SIZE_MAX / 2 + 1,
                                                   std::size_t{1} << 61};
    return kEdges[below(kEdges.size())];
  }
  std::string text(std::size_t most) {
    std::string out;
    for (std::size_t n = below(most + 1); n > 0; --n) out += static_cast<char>(byte());
    return out;
  }

 private:
  std::string_view rest_;
};

/// Everything that a call may read or write, for as long as the call.
class Blocks {
 public:
  explicit Blocks(Bytes& bytes) : bytes_(bytes) {}

  /// Of exactly so many bytes; rarely the pointer is NULL or off its alignment.
  unsigned char* block(std::size_t size, std::size_t shift = 0) {
    blocks_.push_back(std::make_unique<unsigned char[]>(size + shift));
    return blocks_.back().get() + shift;
  }
  template <class T>
  T* copy(const std::vector<T>& values) {
    if (bytes_.rarely()) return nullptr;
    const std::size_t shift = alignof(T) > 1 && bytes_.rarely() ? 1 : 0;
    unsigned char* const to = block(values.size() * sizeof(T), shift);
    if (!values.empty()) std::memcpy(to, values.data(), values.size() * sizeof(T));
    return reinterpret_cast<T*>(to);
  }
  /// With a 0 at its end.
  const char* c_string(const std::string& text) {
    return reinterpret_cast<const char*>(copy_exactly(text.c_str(), text.size() + 1));
  }
  const char* name(std::initializer_list<const char*> known) {
    const std::size_t chosen = bytes_.below(known.size() + 2);
    if (chosen == known.size()) return nullptr;
    if (chosen > known.size()) return c_string(bytes_.text(12));
    return c_string(*(known.begin() + static_cast<std::ptrdiff_t>(chosen)));
  }
  /// Room that the call may write to; untouched() says whether it did.
  template <class T>
  T* room(std::size_t count) {
    if (bytes_.rarely()) return nullptr;
    const std::size_t shift = alignof(T) > 1 && bytes_.rarely() ? 1 : 0;
    unsigned char* const at = block(count * sizeof(T), shift);
    std::fill_n(at, count * sizeof(T), kFresh);
    rooms_.emplace_back(at, count * sizeof(T));
    return reinterpret_cast<T*>(at);
  }
  bool untouched() const {
    return std::all_of(rooms_.begin(), rooms_.end(), [](const auto& room) {
      return std::all_of(room.first, room.first + room.second,
                         [](unsigned char byte) { return byte == kFresh; });
    });
  }

  /// `value` as a struct of a version that may be another: memory of as many bytes as struct_size says,
  /// or of that field alone where the number is none.
  template <class T>
  T* structure(const T& value) {
    return bytes_.rarely() ? nullptr : array<T>({value});
  }
  template <class T>
  T* array(const std::vector<T>& values) {
    std::size_t step = sizeof(T);
    if (bytes_.rarely()) step = bytes_.number<std::uint32_t>();
    if (bytes_.rarely()) step = sizeof(T) + 8;
    const bool is_size = step <= 1024;
    const std::size_t room = is_size ? std::max<std::size_t>(step, 4) : 4;
    unsigned char* const to = block(std::max<std::size_t>(values.size(), 1) * room);
    for (std::size_t i = 0; i < values.size() && (is_size || i == 0); ++i) {
      auto size = static_cast<std::uint32_t>(step);
      if (i > 0 && bytes_.rarely()) size = bytes_.number<std::uint32_t>();
      std::memcpy(to + i * room, &values[i], std::min(room, sizeof(T)));
      std::memcpy(to + i * room, &size, sizeof size);
      if (room > sizeof(T) && bytes_.rarely()) to[i * room + sizeof(T)] = 1;
    }
    return reinterpret_cast<T*>(to);
  }

 private:
  static constexpr unsigned char kFresh = 0xA5;

  unsigned char* copy_exactly(const void* from, std::size_t size) {
    unsigned char* const to = block(size);
    std::memcpy(to, from, size);
    return to;
  }

  Bytes& bytes_;
  std::deque<std::unique_ptr<unsigned char[]>> blocks_;
  std::vector<std::pair<unsigned char*, std::size_t>> rooms_;
};

}  // namespace tessera::fuzz
