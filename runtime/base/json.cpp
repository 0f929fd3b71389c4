// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/json.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <new>

#include "runtime/base/utf8.hpp"

#define RAPIDJSON_NAMESPACE tessera::rapidjson
#define RAPIDJSON_NAMESPACE_BEGIN namespace tessera::rapidjson {
#define RAPIDJSON_NAMESPACE_END }
#define RAPIDJSON_SSE2
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/writer.h>

namespace tessera::json {
namespace {

/// RapidJSON goes on with a null pointer where an allocator gives one.
struct ThrowingAllocator {
  [[maybe_unused]] static constexpr bool kNeedFree = true;
  // NOLINTBEGIN(readability-identifier-naming): RapidJSON calls them so
  static void* Malloc(std::size_t bytes) {
    return bytes == 0 ? nullptr : checked(std::malloc(bytes));
  }
  static void* Realloc(void* old, std::size_t, std::size_t bytes) {
    if (bytes != 0) return checked(std::realloc(old, bytes));
    std::free(old);
    return nullptr;
  }
  static void Free(void* memory) noexcept { std::free(memory); }
  // NOLINTEND(readability-identifier-naming)

 private:
  static void* checked(void* memory) {
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
};

using Pool = rapidjson::MemoryPoolAllocator<ThrowingAllocator>;
using Parsed = rapidjson::GenericDocument<rapidjson::UTF8<>, Pool, ThrowingAllocator>;
using Node = Parsed::ValueType;
using NodeMember = Node::Member;

const Node& node(const void* value) noexcept {
  return *static_cast<const Node*>(value);
}

/// Whether an escape was half of a surrogate pair: RapidJSON takes a lone second half and writes what
/// is no UTF-8, which the text is known to be.
bool has_surrogate(std::string_view text) noexcept {
  for (std::size_t at = 0; (at = text.find('\xED', at)) != std::string_view::npos; ++at) {
    if (at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) >= 0xA0) return true;
  }
  return false;
}

/// Builds the values of a document, to a bounded depth.
class Builder {
 public:
  using Ch = char;
  using Length = rapidjson::SizeType;
  /// `has_escapes`: whether a character may be written as its number.
  Builder(Parsed& out, bool has_escapes) : out_(out), has_escapes_(has_escapes) {}
  bool is_too_deep() const noexcept { return depth_ > kMostNested; }
  bool is_half_a_pair() const noexcept { return is_half_a_pair_; }
  bool is_too_big() const noexcept { return is_too_big_; }

  // NOLINTBEGIN(readability-identifier-naming): RapidJSON calls them so
  bool Null() { return out_.Null(); }
  bool Bool(bool value) { return out_.Bool(value); }
  bool Int(int value) { return out_.Int(value); }
  bool Uint(unsigned value) { return out_.Uint(value); }
  bool Int64(std::int64_t value) { return out_.Int64(value); }
  bool Uint64(std::uint64_t value) { return out_.Uint64(value); }
  bool Double(double value) { return out_.Double(value); }
  bool RawNumber(const char* text, Length length, bool) { return number({text, length}); }
  bool String(const char* text, Length length, bool copy) {
    return is_whole(text, length) && out_.String(text, length, copy);
  }
  bool Key(const char* text, Length length, bool copy) {
    return is_whole(text, length) && out_.Key(text, length, copy);
  }
  bool StartObject() { return ++depth_ <= kMostNested && out_.StartObject(); }
  bool StartArray() { return ++depth_ <= kMostNested && out_.StartArray(); }
  bool EndObject(Length count) { return --depth_, out_.EndObject(count); }
  bool EndArray(Length count) { return --depth_, out_.EndArray(count); }
  // NOLINTEND(readability-identifier-naming)

 private:
  bool is_whole(const char* text, Length length) noexcept {
    is_half_a_pair_ = has_escapes_ && has_surrogate({text, length});
    return !is_half_a_pair_;
  }

  /// Integers as such where 64 bits hold them. RapidJSON 1.1.0 has shifts by what no word has in its own
  /// way to doubles: "0e-30" was anything. Precondition: `text` is a number of JSON.
  bool number(std::string_view text) {
    const char* const end = text.data() + text.size();
    if (text.find_first_of(".eE") == std::string_view::npos) {
      std::int64_t integer = 0;
      if (std::from_chars(text.data(), end, integer).ec == std::errc{}) return out_.Int64(integer);
      std::uint64_t large = 0;
      if (std::from_chars(text.data(), end, large).ec == std::errc{}) return out_.Uint64(large);
    }
    double value = 0.0;
    if (std::from_chars(text.data(), end, value).ec == std::errc{}) return out_.Double(value);
    long double wide = 0.0L;  // too large or too small; here much smaller still is 0
    std::from_chars(text.data(), end, wide);
    value = static_cast<double>(wide);
    is_too_big_ = std::isinf(value);
    return !is_too_big_ && out_.Double(value);
  }

  Parsed& out_;
  bool has_escapes_;
  std::size_t depth_ = 0;
  bool is_half_a_pair_ = false, is_too_big_ = false;
};

/// The text, which strings are unescaped in, and the values that point into it.
struct Content {
  std::string text;
  Parsed document;
};

struct Failure {
  Fault fault = Fault::none;
  const char* what = "";
  std::size_t at = 0;
};

Failure parse_in_place(Content& content, std::size_t bytes) {
  constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag |
                              rapidjson::kParseNumbersAsStringsFlag;
  Failure failure;
  const bool has_escapes = content.text.find("\\u") != std::string::npos;
  const auto build = [&](Parsed& out) {
    rapidjson::InsituStringStream stream(content.text.data());
    rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, ThrowingAllocator> reader;
    Builder builder(out, has_escapes);
    const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, builder);
    if (result.IsError()) {
      const auto code = result.Code();
      const bool is_string = code == rapidjson::kParseErrorStringUnicodeEscapeInvalidHex ||
                             code == rapidjson::kParseErrorStringUnicodeSurrogateInvalid ||
                             code == rapidjson::kParseErrorStringEscapeInvalid ||
                             builder.is_half_a_pair();
      failure.fault = code == rapidjson::kParseErrorDocumentEmpty && result.Offset() == bytes
                          ? Fault::empty
                      : is_string ? Fault::string
                                  : Fault::syntax;
      failure.what = builder.is_too_deep()      ? "Nested too deeply."
                     : builder.is_half_a_pair() ? "The surrogate pair in string is invalid."
                     : builder.is_too_big()     ? "Number too big to be stored in double."
                                                : rapidjson::GetParseError_En(code);
      failure.at = result.Offset();
    } else if (stream.Tell() != bytes) {
      failure = {Fault::syntax, "A zero byte.", stream.Tell()};
    }
    return failure.fault == Fault::none;
  };
  content.document.Populate(build);
  return failure;
}

}  // namespace

Type Value::type() const noexcept {
  if (value_ == nullptr) return Type::null;
  switch (node(value_).GetType()) {
    case rapidjson::kFalseType:
    case rapidjson::kTrueType:
      return Type::boolean;
    case rapidjson::kNumberType:
      return Type::number;
    case rapidjson::kStringType:
      return Type::string;
    case rapidjson::kArrayType:
      return Type::array;
    case rapidjson::kObjectType:
      return Type::object;
    case rapidjson::kNullType:
      break;
  }
  return Type::null;
}

bool Value::get(bool& out) const noexcept {
  if (type() != Type::boolean) return false;
  out = node(value_).GetBool();
  return true;
}

bool Value::get(std::int64_t& out) const noexcept {
  if (type() != Type::number || !node(value_).IsInt64()) return false;
  out = node(value_).GetInt64();
  return true;
}

bool Value::get(std::uint64_t& out) const noexcept {
  if (type() != Type::number || !node(value_).IsUint64()) return false;
  out = node(value_).GetUint64();
  return true;
}

bool Value::get(double& out) const noexcept {
  if (type() != Type::number) return false;
  out = node(value_).GetDouble();
  return true;
}

bool Value::get(std::string_view& out) const noexcept {
  if (type() != Type::string) return false;
  out = {node(value_).GetString(), node(value_).GetStringLength()};
  return true;
}

bool Value::get(Array& out) const noexcept {
  if (type() != Type::array) return false;
  out.first_ = node(value_).Begin();
  out.size_ = node(value_).Size();
  return true;
}

bool Value::get(Object& out) const noexcept {
  if (type() != Type::object) return false;
  const Node& object = node(value_);
  out.first_ = object.MemberCount() == 0 ? nullptr : &*object.MemberBegin();
  out.size_ = object.MemberCount();
  return true;
}

Array Value::array() const noexcept {
  Array out;
  return get(out) ? out : Array();
}

Object Value::object() const noexcept {
  Object out;
  return get(out) ? out : Object();
}

Value Array::operator[](std::size_t index) const noexcept {
  return Value(static_cast<const Node*>(first_) + index);
}

template <>
Value Iterator<Value>::operator*() const noexcept {
  return Value(at_);
}

template <>
Iterator<Value>& Iterator<Value>::operator++() noexcept {
  at_ = static_cast<const Node*>(at_) + 1;
  return *this;
}

template <>
Member Iterator<Member>::operator*() const noexcept {
  const NodeMember& member = *static_cast<const NodeMember*>(at_);
  return {{member.name.GetString(), member.name.GetStringLength()}, Value(&member.value)};
}

template <>
Iterator<Member>& Iterator<Member>::operator++() noexcept {
  at_ = static_cast<const NodeMember*>(at_) + 1;
  return *this;
}

Iterator<Value> Array::end() const noexcept {
  return Iterator<Value>(static_cast<const Node*>(first_) + size_);
}

Iterator<Member> Object::end() const noexcept {
  return Iterator<Member>(static_cast<const NodeMember*>(first_) + size_);
}

std::optional<Value> Object::find(std::string_view key) const noexcept {
  std::optional<Value> found;
  for (const Member member : *this) {
    if (member.key == key) found = member.value;
  }
  return found;
}

std::string_view type_name(Value value) noexcept {
  switch (value.type()) {
    case Type::array:
      return "an array";
    case Type::object:
      return "an object";
    case Type::number:
      return "a number";
    case Type::string:
      return "a string";
    case Type::boolean:
      return "a boolean";
    case Type::null:
      break;
  }
  return "null";
}

std::string minify(Value value) {
  if (value.value_ == nullptr) return "null";
  rapidjson::GenericStringBuffer<rapidjson::UTF8<>, ThrowingAllocator> buffer;
  rapidjson::Writer<decltype(buffer), rapidjson::UTF8<>, rapidjson::UTF8<>, ThrowingAllocator>
      writer(buffer);
  node(value.value_).Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

Tree Tree::parse(std::string text) {
  Tree tree;
  Failure failure;
  if (const std::size_t valid = utf8_prefix(text); valid != text.size()) {
    failure = {Fault::not_utf8, "Not UTF-8.", valid};
  } else {
    constexpr std::size_t kBlock = 16;  // what SSE2 reads at once
    const std::size_t bytes = text.size();
    const auto content = std::make_shared<Content>();
    content->text = std::move(text);
    content->text.append(kBlock, '\0');
    failure = parse_in_place(*content, bytes);
    if (failure.fault == Fault::none) {
      tree.root_ = Value(static_cast<const Node*>(&content->document));
      tree.owner_ = content;
    }
  }
  tree.fault_ = failure.fault;
  if (failure.fault != Fault::none) {
    std::string_view what = failure.what;
    if (what.ends_with('.')) what.remove_suffix(1);
    tree.message_ = fmt::format("{}, at byte {}", what, failure.at);
  }
  return tree;
}

}  // namespace tessera::json
