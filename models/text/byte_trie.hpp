// SPDX-License-Identifier: Apache-2.0
// A set of byte strings with a value each, as a double array: all keys that a text begins with are
// found in one walk, one load per byte.
//
//   state s, byte c:  t = children(s) ⊕ c;  there is a transition s → t  ⟺  label(t) = c
//
// All children of a state lie in one block of 256 units, and no two states have the same
// children(s), so that a label tells whose child a unit is. (Aoe 1989; the ⊕ is that of Yata's
// darts-clone.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tessera::text {

class ByteTrie {
 public:
  struct Key {
    std::string_view bytes;
    std::int32_t value;
  };
  static constexpr std::int32_t kMaxValue = (1 << 23) - 2;

  ByteTrie() = default;
  /// Preconditions: `keys` ascend by bytes (as unsigned), none is empty, no two are equal, values
  /// are in [0, kMaxValue].
  explicit ByteTrie(const std::vector<Key>& keys);

  /// Calls `f(length, value)` for every key that `text` begins with, shortest first.
  template <class F>
  void for_each_prefix(std::string_view text, F&& f) const {
    if (units_.empty()) return;
    std::uint32_t children = units_[0].children;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      const Unit unit = units_[children ^ c];
      if (unit.label != c) return;
      if (unit.value != kNone) f(i + 1, static_cast<std::int32_t>(unit.value));
      children = unit.children;
    }
  }

  std::size_t memory_bytes() const noexcept { return units_.size() * sizeof(Unit); }

 private:
  friend class ByteTrieBuilder;
  static constexpr std::uint32_t kNone = (1U << 23) - 1;
  static constexpr std::uint32_t kFree = 256;  // a label that no byte is

  struct Unit {
    std::uint32_t children = 0;  // of a leaf: block 0 with nothing of its own in it
    std::uint32_t label : 9 = kFree;
    std::uint32_t value : 23 = kNone;
  };
  static_assert(sizeof(Unit) == 8);

  std::vector<Unit> units_;  // units_[0] is the root; a multiple of 256
};

}  // namespace tessera::text
