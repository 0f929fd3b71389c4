// SPDX-License-Identifier: Apache-2.0
// Builds the double array: for every state, breadth of its children first, a place children(s) such
// that all units children(s) ⊕ label are free. Places are sought in the last kOpenBlocks blocks
// only, which bounds the search and wastes a few units in a hundred.
#include "models/text/byte_trie.hpp"

#include <array>

namespace tessera::text {

class ByteTrieBuilder {
 public:
  ByteTrieBuilder(const std::vector<ByteTrie::Key>& keys, std::vector<ByteTrie::Unit>& units)
      : keys_(keys), units_(units) {}

  void build() {
    add_block();
    take(0);            // the root
    has_place_[0] = 1;  // what a leaf says: nobody's children are there
    std::vector<State> pending{{0, 0, keys_.size(), 0}};
    while (!pending.empty()) {
      const State state = pending.back();
      pending.pop_back();
      place_children(state, pending);
    }
  }

 private:
  static constexpr std::size_t kBlock = 256;
  static constexpr std::size_t kOpenBlocks = 16;

  // The keys [first, last) share their first `depth` bytes and lead to `unit`.
  struct State {
    std::uint32_t unit;
    std::size_t first;
    std::size_t last;
    std::size_t depth;
  };
  struct Child {
    unsigned char label;
    std::size_t first;
  };

  unsigned char byte_of(std::size_t key, std::size_t depth) const {
    return static_cast<unsigned char>(keys_[key].bytes[depth]);
  }

  void place_children(const State& state, std::vector<State>& pending) {
    children_.clear();
    std::size_t first = state.first;
    if (first < state.last && keys_[first].bytes.size() == state.depth) ++first;  // ends here
    for (std::size_t k = first; k < state.last; ++k) {
      const unsigned char label = byte_of(k, state.depth);
      if (children_.empty() || children_.back().label != label) children_.push_back({label, k});
    }
    if (children_.empty()) return;
    const std::uint32_t place = find_place();
    has_place_[place] = 1;
    units_[state.unit].children = place;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      const auto [label, k] = children_[i];
      const std::size_t end = i + 1 < children_.size() ? children_[i + 1].first : state.last;
      const std::uint32_t unit = place ^ label;
      take(unit);
      units_[unit].label = label;
      if (keys_[k].bytes.size() == state.depth + 1) {
        units_[unit].value = static_cast<std::uint32_t>(keys_[k].value) & ByteTrie::kNone;
      }
      pending.push_back({unit, k, end, state.depth + 1});
    }
  }

  std::uint32_t find_place() {
    for (std::uint32_t unit = next_[kHead]; unit != kHead; unit = next_[unit]) {
      const std::uint32_t place = (unit - 1) ^ children_.front().label;
      if (fits(place)) return place;
    }
    const auto first = static_cast<std::uint32_t>(units_.size());
    add_block();
    return first;
  }

  bool fits(std::uint32_t place) const {
    if (has_place_[place] != 0) return false;
    for (const Child& c : children_) {
      if (units_[place ^ c.label].label != ByteTrie::kFree || (place ^ c.label) == 0) return false;
    }
    return true;
  }

  // The free units of the open blocks are a ring, in ascending order; unit u is element u + 1, and
  // element 0 its head.
  void add_block() {
    const std::size_t begin = units_.size();
    units_.resize(begin + kBlock);
    has_place_.resize(begin + kBlock);
    next_.resize(begin + kBlock + 1);
    previous_.resize(begin + kBlock + 1);
    for (std::size_t u = begin; u < begin + kBlock; ++u) {
      const auto element = static_cast<std::uint32_t>(u + 1);
      const std::uint32_t last = previous_[kHead];
      next_[last] = element;
      previous_[element] = last;
      next_[element] = kHead;
      previous_[kHead] = element;
    }
    if (begin < kOpenBlocks * kBlock) return;
    const std::size_t closed = begin - kOpenBlocks * kBlock;
    for (std::size_t u = closed; u < closed + kBlock; ++u) {
      if (units_[u].label == ByteTrie::kFree && u != 0) unlink(static_cast<std::uint32_t>(u + 1));
    }
  }

  void take(std::uint32_t unit) { unlink(unit + 1); }

  void unlink(std::uint32_t element) {
    next_[previous_[element]] = next_[element];
    previous_[next_[element]] = previous_[element];
  }

  static constexpr std::uint32_t kHead = 0;

  const std::vector<ByteTrie::Key>& keys_;
  std::vector<ByteTrie::Unit>& units_;
  std::vector<Child> children_;            // of the state that is being placed
  std::vector<std::uint8_t> has_place_;    // whether some state's children are there
  std::vector<std::uint32_t> next_ = {0};  // element of the ring
  std::vector<std::uint32_t> previous_ = {0};
};

ByteTrie::ByteTrie(const std::vector<Key>& keys) {
  ByteTrieBuilder(keys, units_).build();
}

}  // namespace tessera::text
