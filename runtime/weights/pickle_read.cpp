// SPDX-License-Identifier: Apache-2.0
// The machine with a stack and a memo: one operation after another, each of them in one function.
#include "runtime/weights/pickle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/base/utf8.hpp"
#include "runtime/weights/pickle_opcodes.hpp"

namespace tessera {

using detail::in_quotes;

namespace {

constexpr std::size_t kMaxOperations = std::size_t{1} << 23;
constexpr std::size_t kMaxStack = std::size_t{1} << 17;  // a pickler writes dicts 1000 pairs a time
constexpr std::size_t kMaxMarks = 1000;
constexpr std::string_view kOrderedDict = "collections.OrderedDict";

}  // namespace

class PickleMachine {
 public:
  using Kind = Pickle::Kind;
  using Value = Pickle::Value;

  PickleMachine(std::span<const std::byte> bytes, const PickleName& name, Pickle& result)
      : bytes_(bytes), name_(name), result_(result) {}

  void run();

 private:
  [[noreturn]] void fail(std::string_view problem, ErrorCode code = ErrorCode::corrupt_file) const {
    throw Error(code, fmt::format("{} at byte {}: {}", name_.where, name_.base + op_at_, problem));
  }

  std::span<const std::byte> take(std::size_t count);
  template <class T>
  T number();
  void step(Op op);
  void push(Kind kind, std::uint64_t at = 0, std::uint32_t size = 0);
  Value pop();
  Value pop_of(Kind kind, const char* expected);
  Value& top_of(Kind kind, const char* expected);
  void need(std::size_t count) const;
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::size_t pop_mark();
  void container(Kind kind);
  void tuple(std::size_t first);
  void append(Kind kind, std::size_t first);
  void put(std::uint64_t index);
  void get(std::uint64_t index);
  void text();
  void long1();
  void global();
  void reduce();
  void persistent();
  std::string_view line();

  std::span<const std::byte> bytes_;
  const PickleName& name_;
  Pickle& result_;
  std::size_t at_ = 0, op_at_ = 0, operations_ = 0;
  std::vector<Value> stack_, memo_;
  std::vector<std::size_t> marks_;  // heights of the stack
};

std::span<const std::byte> PickleMachine::take(std::size_t count) {
  if (count > bytes_.size() - at_) {
    fail(
        fmt::format("{} bytes are wanted, {} are left, expected a whole pickle (a file cut short?)",
                    count, bytes_.size() - at_));
  }
  const auto part = bytes_.subspan(at_, count);
  at_ += count;
  return part;
}

template <class T>
T PickleMachine::number() {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  return value;
}

void PickleMachine::push(Kind kind, std::uint64_t at, std::uint32_t size) {
  if (stack_.size() == kMaxStack) {
    fail(fmt::format("more than {} values are on the stack, expected fewer", kMaxStack));
  }
  stack_.push_back({.kind = kind, .size = size, .at = at});
}

void PickleMachine::need(std::size_t count) const {
  if (stack_.size() - floor() >= count) return;
  fail(fmt::format("{} values are on the stack, expected {} at least", stack_.size() - floor(),
                   count));
}

PickleMachine::Value PickleMachine::pop() {
  need(1);
  const Value value = stack_.back();
  stack_.pop_back();
  return value;
}

PickleMachine::Value PickleMachine::pop_of(Kind kind, const char* expected) {
  const Value value = pop();
  if (value.kind != kind)
    fail(fmt::format("got {}, expected {}", result_.describe(value), expected));
  return value;
}

PickleMachine::Value& PickleMachine::top_of(Kind kind, const char* expected) {
  need(1);
  if (stack_.back().kind != kind) {
    fail(fmt::format("got {}, expected {}", result_.describe(stack_.back()), expected));
  }
  return stack_.back();
}

std::size_t PickleMachine::pop_mark() {
  if (marks_.empty()) fail("no mark is open, expected one");
  const std::size_t first = marks_.back();
  marks_.pop_back();
  return first;
}

void PickleMachine::container(Kind kind) {
  push(kind, result_.containers_.size());
  result_.containers_.emplace_back();
}

/// The values of the stack from `first` on become one tuple.
void PickleMachine::tuple(std::size_t first) {
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(first);
  const Value made{.kind = Kind::tuple,
                   .size = static_cast<std::uint32_t>(stack_.size() - first),
                   .at = result_.pool_.size()};
  result_.pool_.insert(result_.pool_.end(), begin, stack_.end());
  stack_.erase(begin, stack_.end());
  push(made.kind, made.at, made.size);
}

/// The values of the stack from `first` on go into the list or dict below them.
void PickleMachine::append(Kind kind, std::size_t first) {
  const bool is_dict = kind == Kind::dict;
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(first);
  if (is_dict && (stack_.size() - first) % 2 != 0) {
    fail(fmt::format("a dict gets {} values, expected pairs", stack_.size() - first));
  }
  const std::vector<Value> values(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  const Value& into = top_of(kind, is_dict ? "a dict" : "a list");
  auto& items = result_.containers_[into.at];
  items.insert(items.end(), values.begin(), values.end());
}

void PickleMachine::put(std::uint64_t index) {
  need(1);
  // Picklers count: an entry beyond all operations so far is none of theirs.
  if (index > operations_) {
    fail(fmt::format("memo entry {} is written, expected at most {}", index, operations_));
  }
  if (index >= memo_.size()) memo_.resize(index + 1);
  memo_[index] = stack_.back();
}

void PickleMachine::get(std::uint64_t index) {
  if (index >= memo_.size() || memo_[index].kind == Kind::missing) {
    fail(fmt::format("memo entry {} is read, expected one that was written", index));
  }
  push(memo_[index].kind, memo_[index].at, memo_[index].size);
}

void PickleMachine::text() {
  const auto length = number<std::uint32_t>();
  const std::size_t begin = at_;
  const auto bytes = take(length);
  if (!is_utf8({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) {
    fail(fmt::format("a text of {} bytes is malformed, expected UTF-8", length));
  }
  push(Kind::text, begin, length);
}

/// Little-endian two's complement of any length.
void PickleMachine::long1() {
  const auto bytes = take(number<std::uint8_t>());
  if (bytes.size() > sizeof(std::int64_t)) return push(Kind::large_integer);
  const bool is_negative = !bytes.empty() && (bytes.back() & std::byte{0x80}) != std::byte{0};
  std::uint64_t value = is_negative ? ~std::uint64_t{0} : 0;
  if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
  push(Kind::integer, value);
}

std::string_view PickleMachine::line() {
  constexpr std::size_t kMaxLine = 1000;
  const auto rest = bytes_.subspan(at_).first(std::min(bytes_.size() - at_, kMaxLine));
  const auto end = std::find(rest.begin(), rest.end(), std::byte{'\n'});
  if (end == rest.end()) {
    fail(fmt::format("a name does not end within {} bytes, expected a line", rest.size()));
  }
  const auto length = static_cast<std::size_t>(end - rest.begin());
  at_ += length + 1;
  return {reinterpret_cast<const char*>(rest.data()), length};
}

void PickleMachine::global() {
  const std::string_view module = line(), member = line();
  const std::string name = fmt::format("{}.{}", module, member);
  const auto known = std::find(result_.globals_.begin(), result_.globals_.end(), name);
  if (known == result_.globals_.end()) {
    fail(fmt::format("the global is {}, expected one of {}; no code of a file is ever run: save a "
                     "model's state_dict() alone",
                     in_quotes(name), fmt::join(result_.globals_, ", ")),
         ErrorCode::unsupported_model);
  }
  push(Kind::global, static_cast<std::uint64_t>(known - result_.globals_.begin()));
}

void PickleMachine::reduce() {
  need(2);
  const Value arguments = pop_of(Kind::tuple, "a tuple of arguments");
  const Value callable = pop_of(Kind::global, "a global to apply");
  if (result_.global(callable) == kOrderedDict) {
    if (arguments.size != 0) {
      fail(fmt::format("{} is applied to {} arguments, expected none (a pickle of Python 2?)",
                       kOrderedDict, arguments.size),
           ErrorCode::unsupported_model);
    }
    return container(Kind::dict);
  }
  push(Kind::object, result_.pool_.size());
  result_.pool_.push_back(callable);
  result_.pool_.push_back(arguments);
}

void PickleMachine::persistent() {
  const Value id = pop();
  push(Kind::persistent, result_.pool_.size());
  result_.persistent_at_.push_back(result_.pool_.size());
  result_.pool_.push_back(id);
}

void PickleMachine::step(Op op) {
  switch (op) {
    case Op::mark:
      if (marks_.size() == kMaxMarks) {
        fail(fmt::format("more than {} marks are open, expected fewer", kMaxMarks));
      }
      return marks_.push_back(stack_.size());
    case Op::none:
      return push(Kind::none);
    case Op::new_true:
      return push(Kind::boolean, 1);
    case Op::new_false:
      return push(Kind::boolean, 0);
    case Op::bin_int:
      return push(Kind::integer, static_cast<std::uint64_t>(std::int64_t{number<std::int32_t>()}));
    case Op::bin_int1:
      return push(Kind::integer, number<std::uint8_t>());
    case Op::bin_int2:
      return push(Kind::integer, number<std::uint16_t>());
    case Op::long1:
      return long1();
    case Op::bin_float:
      take(8);
      return push(Kind::real);
    case Op::bin_unicode:
      return text();
    case Op::empty_tuple:
      return tuple(stack_.size());
    case Op::tuple1:
    case Op::tuple2:
    case Op::tuple3: {
      const std::size_t count = static_cast<std::size_t>(op) - static_cast<std::size_t>(Op::tuple1);
      need(count + 1);
      return tuple(stack_.size() - count - 1);
    }
    case Op::tuple:
      return tuple(pop_mark());
    case Op::empty_list:
      return container(Kind::list);
    case Op::empty_dict:
      return container(Kind::dict);
    case Op::append:
      need(2);
      return append(Kind::list, stack_.size() - 1);
    case Op::appends:
      return append(Kind::list, pop_mark());
    case Op::set_item:
      need(3);
      return append(Kind::dict, stack_.size() - 2);
    case Op::set_items:
      return append(Kind::dict, pop_mark());
    case Op::bin_put:
      return put(number<std::uint8_t>());
    case Op::long_bin_put:
      return put(number<std::uint32_t>());
    case Op::bin_get:
      return get(number<std::uint8_t>());
    case Op::long_bin_get:
      return get(number<std::uint32_t>());
    case Op::global:
      return global();
    case Op::reduce:
      return reduce();
    case Op::bin_persid:
      return persistent();
    case Op::build:
      need(2);
      pop_of(Kind::dict, "a dict of attributes");
      top_of(Kind::dict, "a dict that has attributes");
      return;
    default:
      fail(fmt::format("the operation is {}, expected one that a state dict of protocol 2 needs; "
                       "no code of a file is ever run",
                       opcode_name(static_cast<std::uint8_t>(op))),
           ErrorCode::unsupported_model);
  }
}

void PickleMachine::run() {
  const auto proto = number<std::uint8_t>();
  if (proto != static_cast<std::uint8_t>(Op::proto)) {
    fail(fmt::format("the first operation is {}, expected PROTO", opcode_name(proto)));
  }
  const auto version = number<std::uint8_t>();
  if (version != 2) {
    fail(fmt::format("the pickle has protocol {}, expected 2 (what torch.save writes unless it is "
                     "told another pickle_protocol)",
                     version),
         ErrorCode::unsupported_model);
  }
  for (;; ++operations_) {
    op_at_ = at_;
    if (operations_ == kMaxOperations) {
      fail(fmt::format("more than {} operations, expected fewer", kMaxOperations));
    }
    const auto op = static_cast<Op>(number<std::uint8_t>());
    if (op == Op::stop) break;
    step(op);
  }
  if (stack_.size() != 1 || !marks_.empty()) {
    fail(fmt::format("the pickle ends with {} values and {} open marks, expected one value",
                     stack_.size(), marks_.size()));
  }
  result_.root_ = stack_.front();
  result_.size_ = at_;
}

Pickle Pickle::read(std::span<const std::byte> bytes, const PickleName& name,
                    std::span<const std::string_view> globals) {
  Pickle result;
  result.bytes_ = bytes;
  result.globals_ = globals;
  PickleMachine(bytes, name, result).run();
  return result;
}

}  // namespace tessera
