// SPDX-License-Identifier: Apache-2.0
//
// JSON of untrusted files: RFC 8259 and nothing beside it (no comment, no trailing comma, no NaN, no
// byte order mark), valid UTF-8, at most kMostNested levels, parsed without recursion. The parser is
// RapidJSON, a header that leaves no object behind which could be destroyed before its last user.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tessera::json {

inline constexpr std::size_t kMostNested = 1024;

enum class Type : std::uint8_t { null, boolean, number, string, array, object };

class Array;
class Object;

/// A value of a Tree, valid as long as the tree lives; a copy is the same value. Without a tree: null.
class Value {
 public:
  Value() = default;
  explicit Value(const void* value) noexcept : value_(value) {}

  Type type() const noexcept;
  bool is_null() const noexcept { return type() == Type::null; }
  bool is_number() const noexcept { return type() == Type::number; }
  bool is_array() const noexcept { return type() == Type::array; }
  bool is_object() const noexcept { return type() == Type::object; }

  /// Whether the value is of that type; `out` stays as it is if not. An integer is one without
  /// fraction and exponent that the type can hold; any number is a double.
  [[nodiscard]] bool get(bool& out) const noexcept;
  [[nodiscard]] bool get(std::int64_t& out) const noexcept;
  [[nodiscard]] bool get(std::uint64_t& out) const noexcept;
  [[nodiscard]] bool get(double& out) const noexcept;
  [[nodiscard]] bool get(std::string_view& out) const noexcept;
  [[nodiscard]] bool get(Array& out) const noexcept;
  [[nodiscard]] bool get(Object& out) const noexcept;
  [[nodiscard]] bool get(Value& out) const noexcept {
    out = *this;
    return true;
  }
  /// Empty where the value is something else.
  Array array() const noexcept;
  Object object() const noexcept;

 private:
  friend std::string minify(Value value);
  const void* value_ = nullptr;
};

/// The value as JSON without spaces.
std::string minify(Value value);
/// "a string", "null", ...
std::string_view type_name(Value value) noexcept;

struct Member {
  std::string_view key;
  Value value;
};

/// Goes over the values of an array or the members of an object.
template <class Item>
class Iterator {
 public:
  using value_type = Item;
  using difference_type = std::ptrdiff_t;
  Iterator() = default;
  explicit Iterator(const void* at) noexcept : at_(at) {}
  Item operator*() const noexcept;
  Iterator& operator++() noexcept;
  Iterator operator++(int) noexcept {
    const Iterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const Iterator&) const = default;

 private:
  const void* at_ = nullptr;
};
template <>
Value Iterator<Value>::operator*() const noexcept;
template <>
Iterator<Value>& Iterator<Value>::operator++() noexcept;
template <>
Member Iterator<Member>::operator*() const noexcept;
template <>
Iterator<Member>& Iterator<Member>::operator++() noexcept;

class Array {
 public:
  std::size_t size() const noexcept { return size_; }
  /// `index` < size().
  Value operator[](std::size_t index) const noexcept;
  Iterator<Value> begin() const noexcept { return Iterator<Value>(first_); }
  Iterator<Value> end() const noexcept;

 private:
  friend class Value;
  const void* first_ = nullptr;
  std::size_t size_ = 0;
};

/// Members in the order of the file; a key may come twice.
class Object {
 public:
  std::size_t size() const noexcept { return size_; }
  Iterator<Member> begin() const noexcept { return Iterator<Member>(first_); }
  Iterator<Member> end() const noexcept;
  /// The last member of that name, as in Python; nothing if there is none.
  std::optional<Value> find(std::string_view key) const noexcept;
  /// Whether there is such a member of that type.
  template <class T>
  [[nodiscard]] bool get(std::string_view key, T& out) const noexcept {
    const std::optional<Value> value = find(key);
    return value && value->get(out);
  }

 private:
  friend class Value;
  const void* first_ = nullptr;
  std::size_t size_ = 0;
};

/// What is wrong with a text.
enum class Fault : std::uint8_t { none, empty, not_utf8, string, syntax };

/// A parsed text, or what is wrong with it. Copies share the values.
class Tree {
 public:
  /// Memory: the text, and 16 bytes for each value. Throws  std::bad_alloc.
  static Tree parse(std::string text);

  Fault fault() const noexcept { return fault_; }
  explicit operator bool() const noexcept { return fault_ == Fault::none; }
  /// "a comma or ']' is missing, at byte 17"; empty without a fault.
  const std::string& message() const noexcept { return message_; }
  Value root() const noexcept { return root_; }

 private:
  std::shared_ptr<const void> owner_;
  Value root_;
  Fault fault_ = Fault::none;
  std::string message_;
};

}  // namespace tessera::json
