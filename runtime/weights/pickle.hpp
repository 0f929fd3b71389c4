// SPDX-License-Identifier: Apache-2.0
// Pickles read as data: what a state dict of PyTorch is made of, and nothing else. No code is run.
//
// A pickle is a program for a machine with a stack and a memo. Python's reader runs what the program
// names; this one knows the operations of protocol 2 that build plain values, and makes of the rest
//   GLOBAL      a name, which must be one of those that the caller allows
//   REDUCE      an object: a name and the tuple of its arguments, kept as they are;
//               collections.OrderedDict of no arguments is a dict
//   BINPERSID   a persistent value: its id, kept as it is
//   BUILD       nothing; a dict's attributes (_metadata) are dropped
// Every other operation and every other name is refused by its name.
//
// Values refer to others by their place, so a value that is used a million times is stored once, and
// a memo that refers to itself ("billion laughs") is never unfolded. Nothing recurses. Bounds: at most
// 2²³ operations, 2¹⁷ values on the stack, 1000 open marks; memory is below 64 bytes an operation.
// Format: CPython, Lib/pickletools.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

/// How messages about one pickle begin, and the place of its first byte in them.
struct PickleName {
  std::string where;     ///< "pytorch_model.bin: data.pkl"
  std::size_t base = 0;  ///< the messages' "at byte" counts from here
};

class Pickle {
 public:
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,        ///< of 64 bits
    large_integer,  ///< any other; its digits are not kept
    real,
    text,
    tuple,
    list,
    dict,
    global,
    object,      ///< of REDUCE
    persistent,  ///< of BINPERSID
    missing,     ///< never seen by callers
  };
  struct Value {
    Kind kind = Kind::missing;
    std::uint32_t size = 0;  ///< text: bytes; tuple: elements
    std::uint64_t at = 0;    ///< the number itself, or a place
  };
  struct Object {
    std::string_view callable;
    std::span<const Value> arguments;
  };

  /// Reads the pickle at the beginning of `bytes`, which must stay where they are. `globals`:
  /// "torch._utils._rebuild_tensor_v2", …; they must outlive the Pickle.
  /// Errors  corrupt_file; unsupported_model for what is refused by name.
  static Pickle read(std::span<const std::byte> bytes, const PickleName& name,
                     std::span<const std::string_view> globals);

  const Value& root() const noexcept { return root_; }
  /// Bytes of the pickle, STOP included.
  std::size_t size() const noexcept { return size_; }
  /// All of BINPERSID, in their order.
  std::vector<Value> persistent_values() const;

  // Of a value of the kind that the name says.
  std::int64_t integer(const Value& v) const noexcept { return static_cast<std::int64_t>(v.at); }
  bool boolean(const Value& v) const noexcept { return v.at != 0; }
  std::string_view text(const Value& v) const noexcept;
  std::string_view global(const Value& v) const noexcept { return globals_[v.at]; }
  std::span<const Value> tuple(const Value& v) const noexcept;
  std::span<const Value> list(const Value& v) const noexcept { return containers_[v.at]; }
  /// key, value, key, value, …; a key may come twice.
  std::span<const Value> dict(const Value& v) const noexcept { return containers_[v.at]; }
  Object object(const Value& v) const noexcept;
  const Value& persistent_id(const Value& v) const noexcept { return pool_[v.at]; }

  /// As a message shows it: `the text "cpu"`, `the integer 5`, `a tuple of 3`.
  std::string describe(const Value& v) const;

 private:
  friend class PickleMachine;

  std::span<const std::byte> bytes_;
  std::span<const std::string_view> globals_;
  std::vector<Value> pool_;                     // the elements of tuples, objects and ids
  std::vector<std::vector<Value>> containers_;  // lists, and dicts
  std::size_t size_ = 0;
  std::vector<std::uint64_t> persistent_at_;  // places of ids in pool_
  Value root_;
};

}  // namespace tessera
