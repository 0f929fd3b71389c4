// SPDX-License-Identifier: Apache-2.0
// Tokens and their ids, and the search for the longest token that a string begins with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text {

/// A set of byte strings with an id each, found by the hash of a prefix that is extended byte by
/// byte: the longest member that begins a word costs one pass over the word and one probe for each
/// length tried, longest first. Most words of a text are members themselves, so the first probe
/// usually hits.
class PrefixTable {
 public:
  struct Match {
    std::int32_t id;       ///< −1: no member is a prefix
    std::uint32_t length;  ///< in bytes
  };

  /// Makes room for `count` members at once.
  void reserve(std::size_t count);
  /// Adds a member, or gives it another id. `bytes` must outlive the table.
  void insert(std::string_view bytes, std::int32_t id);

  std::optional<std::int32_t> find(std::string_view bytes) const noexcept;
  /// Asks memory for what find() will look at first: thousands of finds wait for little else.
  void will_find(std::string_view bytes) const noexcept;

  /// The longest member that `s` begins with. `hashes` is scratch space, grown to max_length() at
  /// most.
  Match longest_prefix(std::string_view s, std::vector<std::uint64_t>& hashes) const;

  std::size_t size() const noexcept { return members_.size(); }
  std::size_t max_length() const noexcept { return max_length_; }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t member = kEmpty;
  };
  struct Member {
    std::string_view bytes;
    std::int32_t id;
  };
  static constexpr std::uint32_t kEmpty = 0xFFFFFFFF;

  const Member* find_hashed(std::uint64_t hash, std::string_view bytes) const noexcept;
  void place(std::uint64_t hash, std::uint32_t member) noexcept;
  void set_slots(std::size_t count);

  std::vector<Slot> slots_;  // a power of two, at most half full
  std::vector<Member> members_;
  std::size_t max_length_ = 0;
};

/// Tokens in the order of a vocabulary file.
class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;  // views into blocks_ survive a move, but not a copy
  Vocabulary& operator=(Vocabulary&&) = default;

  /// Makes room for `count` tokens at once.
  void reserve(std::size_t count);
  /// Adds a token; one that is there already takes the new id, as in the reference.
  void add(std::string_view token, std::int32_t id);

  /// Number of distinct tokens.
  std::size_t size() const noexcept { return table_.size(); }
  /// Whether no two tokens have the same id. Precondition: finish() was called.
  bool has_distinct_ids() const noexcept { return by_id_.size() == size(); }
  /// Where the ids of added tokens begin: size(), unless set.
  std::size_t next_id() const noexcept { return next_id_.value_or(size()); }
  void set_next_id(std::size_t id) noexcept { next_id_ = id; }
  /// Largest id + 1.
  std::size_t id_count() const noexcept { return static_cast<std::size_t>(max_id_ + 1); }

  std::optional<std::int32_t> id(std::string_view token) const noexcept {
    return table_.find(token);
  }
  /// Asks memory for what id() will look at first.
  void will_ask(std::string_view token) const noexcept { table_.will_find(token); }
  /// Whether a token was added twice.
  bool has_repeats() const noexcept { return lines_.size() != table_.size(); }
  /// The token with this id, or nothing. Of several, the last that was added.
  std::optional<std::string_view> token(std::int32_t id) const noexcept;

  const PrefixTable& table() const noexcept { return table_; }

  /// Calls `f(token, id)` for every line that was added.
  template <class F>
  void for_each(F&& f) const {
    for (const Line& line : lines_) f(line.token, line.id);
  }

  /// Builds the index by id; to be called once, after the last add().
  void finish();

 private:
  struct Line {
    std::string_view token;
    std::int32_t id;
  };

  std::string_view keep(std::string_view token);

  std::vector<std::string>
      blocks_;  // own the bytes of the tokens; a block never grows past its capacity
  std::vector<Line> lines_;
  std::vector<Line> by_id_;  // ascending, one line per id
  PrefixTable table_;
  std::int64_t max_id_ = -1;
  std::optional<std::size_t> next_id_;
};

}  // namespace tessera::text
