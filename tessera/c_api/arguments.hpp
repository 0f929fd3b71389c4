// SPDX-License-Identifier: Apache-2.0
// Reading what a C caller gives: pointers that may be null or misaligned, structs of another
// version, enumerations that are none.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"
#include "tessera/tessera.h"

namespace tessera::c_api {

template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) {
    throw Error(ErrorCode::invalid_argument, fmt::format(format, std::forward<Args>(args)...));
  }
}

/// `pointer`, which must be neither null nor misaligned.
template <class T>
T* checked(T* pointer, const char* name) {
  require(pointer != nullptr, "{} is NULL, expected a pointer", name);
  require(reinterpret_cast<std::uintptr_t>(pointer) % alignof(T) == 0,
          "{} is misaligned, expected a multiple of {} bytes", name, alignof(T));
  return pointer;
}

/// `count` elements at `pointer`, which may be null if count is 0.
template <class T>
std::span<T> checked_span(T* pointer, std::size_t count, const char* name) {
  if (count == 0) return {};
  constexpr std::size_t kMost = PTRDIFF_MAX / sizeof(T);
  require(count <= kMost, "{} has {} elements, expected at most {}", name, count, kMost);
  return {checked(pointer, name), count};
}

/// The size of the first version of each struct: what a caller has at least.
template <class T>
inline constexpr std::size_t kFirstSize = sizeof(T);
template <>
inline constexpr std::size_t kFirstSize<tessera_model_options> = offsetof(tessera_model_options,
                                                                          pooling);
template <>
inline constexpr std::size_t kFirstSize<tessera_model_info> = offsetof(tessera_model_info,
                                                                       similarity_function);
template <>
inline constexpr std::size_t kFirstSize<tessera_pixels> = offsetof(tessera_pixels, format);
template <>
inline constexpr std::size_t kFirstSize<tessera_session_options> = offsetof(tessera_session_options,
                                                                            concurrent_calls);
template <>
inline constexpr std::size_t kFirstSize<tessera_run_options> = offsetof(tessera_run_options,
                                                                        item_status);

/// Most bytes of a struct of a later version that are looked at: a larger struct_size is garbage.
inline constexpr std::size_t kMaxStructSize = 1024;

/// The struct_size at the beginning of `given`, within its limits.
template <class T>
std::size_t checked_struct_size(const T* given, const char* name) {
  static_assert(offsetof(T, struct_size) == 0 && std::is_trivially_copyable_v<T>);
  checked(given, name);
  const std::size_t size = given->struct_size;
  require(size >= kFirstSize<T> && size <= kMaxStructSize,
          "{}.struct_size is {}, expected {} (sizeof({}); use its INIT macro)", name, size,
          sizeof(T), name);
  return size;
}

/// A struct of the caller, as this version knows it. What a later version has added must be 0.
template <class T>
T read_struct(const T* given, const char* name) {
  const std::size_t size = checked_struct_size(given, name);
  T known{};
  std::memcpy(&known, given, std::min(size, sizeof(T)));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  const bool is_known = std::all_of(bytes + std::min(size, sizeof(T)), bytes + size,
                                    [](unsigned char byte) { return byte == 0; });
  require(is_known,
          "{}: struct_size is {} and bytes from {} on are not 0, expected 0: this is {} {}", name,
          size, sizeof(T), "libtessera", TESSERA_VERSION_STRING);
  if constexpr (requires { known.reserved; }) {
    require(known.reserved == 0, "{}.reserved is {}, expected 0", name, known.reserved);
  }
  return known;
}

/// As read_struct(); the defaults for NULL.
template <class T>
T read_optional_struct(const T* given, const char* name) {
  return given == nullptr ? T{} : read_struct(given, name);
}

/// Element `index` of an array of structs that all have the struct_size of the first.
template <class T>
T read_element(const T* array, std::size_t index, const char* name) {
  const std::size_t step = checked_struct_size(array, name);
  require(step % alignof(T) == 0, "{}[0].struct_size is {}, expected a multiple of {}", name, step,
          alignof(T));
  const auto* element =
      reinterpret_cast<const T*>(reinterpret_cast<const unsigned char*>(array) + index * step);
  require(element->struct_size == step, "{}[{}].struct_size is {}, expected {} as in {}[0]", name,
          index, element->struct_size, step, name);
  return read_struct(element, name);
}

/// Fills the caller's struct up to its struct_size; fields of later versions become 0.
template <class T>
void write_struct(T* out, std::size_t size, T value) noexcept {
  value.struct_size = static_cast<std::uint32_t>(size);
  std::memcpy(out, &value, std::min(size, sizeof(T)));
  if (size > sizeof(T)) {
    std::memset(reinterpret_cast<unsigned char*>(out) + sizeof(T), 0, size - sizeof(T));
  }
}

/// The number behind an enumerator, which need not be one; at most `last`.
template <class E>
std::uint32_t checked_enum(const E& value, std::uint32_t last, const char* name) {
  static_assert(sizeof(E) == sizeof(std::uint32_t));
  std::uint32_t number = 0;
  std::memcpy(&number, &value, sizeof number);
  require(number <= last, "{} is {}, expected 0 to {}", name, number, last);
  return number;
}

inline bool checked_flag(std::uint32_t value, const char* name) {
  require(value <= 1, "{} is {}, expected 0 or 1", name, value);
  return value == 1;
}

/// NULL or a string.
inline std::string string_or_empty(const char* text) {
  return text == nullptr ? std::string{} : std::string(text);
}

/// `count` strings, none of them null.
inline std::vector<std::string> read_names(const char* const* names, std::size_t count,
                                           const char* what) {
  std::vector<std::string> result;
  for (const char* name : checked_span(names, count, what)) {
    require(name != nullptr, "{}[{}] is NULL, expected a name", what, result.size());
    result.emplace_back(name);
  }
  return result;
}

}  // namespace tessera::c_api
