// SPDX-License-Identifier: Apache-2.0
#include "models/text/vocabulary.hpp"

#include <algorithm>
#include <bit>

#include "runtime/base/fnv.hpp"

namespace tessera::text {
namespace {

// The high half selects nothing, so it serves as the tag.
std::uint32_t tag_of(std::uint64_t hash) noexcept {
  return static_cast<std::uint32_t>(hash >> 32);
}

std::size_t home_of(std::uint64_t hash) noexcept {
  return static_cast<std::size_t>(hash ^ (hash >> 29));
}

constexpr std::size_t kBlockBytes = std::size_t{1} << 18;

}  // namespace

const PrefixTable::Member* PrefixTable::find_hashed(std::uint64_t hash,
                                                    std::string_view bytes) const noexcept {
  if (slots_.empty()) return nullptr;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = home_of(hash) & mask;; i = (i + 1) & mask) {
    const Slot slot = slots_[i];
    if (slot.member == kEmpty) return nullptr;
    if (slot.tag == tag_of(hash) && members_[slot.member].bytes == bytes) {
      return &members_[slot.member];
    }
  }
}

void PrefixTable::place(std::uint64_t hash, std::uint32_t member) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = home_of(hash) & mask;
  while (slots_[i].member != kEmpty) i = (i + 1) & mask;
  slots_[i] = {tag_of(hash), member};
}

void PrefixTable::insert(std::string_view bytes, std::int32_t id) {
  const std::uint64_t hash = fnv1a(kFnvSeed, bytes);
  if (const Member* known = find_hashed(hash, bytes)) {
    members_[static_cast<std::size_t>(known - members_.data())].id = id;
    return;
  }
  members_.push_back({bytes, id});
  max_length_ = std::max(max_length_, bytes.size());
  if (2 * members_.size() <= slots_.size()) {
    place(hash, static_cast<std::uint32_t>(members_.size() - 1));
    return;
  }
  set_slots(std::max<std::size_t>(64, 2 * slots_.size()));
}

void PrefixTable::reserve(std::size_t count) {
  members_.reserve(count);
  if (2 * count > slots_.size()) set_slots(std::bit_ceil(2 * count));
}

void PrefixTable::set_slots(std::size_t count) {
  slots_.assign(count, Slot{});
  for (std::uint32_t m = 0; m < members_.size(); ++m) place(fnv1a(kFnvSeed, members_[m].bytes), m);
}

std::optional<std::int32_t> PrefixTable::find(std::string_view bytes) const noexcept {
  if (members_.empty()) return std::nullopt;  // nothing to hash for
  const Member* member = find_hashed(fnv1a(kFnvSeed, bytes), bytes);
  if (member == nullptr) return std::nullopt;
  return member->id;
}

void PrefixTable::will_find(std::string_view bytes) const noexcept {
  if (slots_.empty()) return;
  __builtin_prefetch(&slots_[home_of(fnv1a(kFnvSeed, bytes)) & (slots_.size() - 1)]);
}

PrefixTable::Match PrefixTable::longest_prefix(std::string_view s,
                                               std::vector<std::uint64_t>& hashes) const {
  const std::size_t n = std::min(s.size(), max_length_);
  if (hashes.size() < n) hashes.resize(n);
  std::uint64_t hash = kFnvSeed;
  for (std::size_t i = 0; i < n; ++i) hashes[i] = hash = fnv1a(hash, s[i]);
  for (std::size_t length = n; length > 0; --length) {
    if (const Member* m = find_hashed(hashes[length - 1], s.substr(0, length))) {
      return {m->id, static_cast<std::uint32_t>(length)};
    }
  }
  return {-1, 0};
}

std::string_view Vocabulary::keep(std::string_view token) {
  if (blocks_.empty() || blocks_.back().capacity() - blocks_.back().size() < token.size()) {
    blocks_.emplace_back().reserve(std::max(kBlockBytes, token.size()));
  }
  std::string& block = blocks_.back();
  const std::size_t at = block.size();
  block.append(token);
  return std::string_view(block).substr(at);
}

void Vocabulary::reserve(std::size_t count) {
  lines_.reserve(count);
  table_.reserve(count);
}

void Vocabulary::add(std::string_view token, std::int32_t id) {
  const std::string_view kept = keep(token);
  lines_.push_back({kept, id});
  table_.insert(kept, id);
  max_id_ = std::max<std::int64_t>(max_id_, id);
}

void Vocabulary::finish() {
  by_id_ = lines_;
  std::stable_sort(by_id_.begin(), by_id_.end(),
                   [](const Line& a, const Line& b) { return a.id < b.id; });
  // Keeps the last line of each id: unique() from the back.
  const auto first = std::unique(by_id_.rbegin(), by_id_.rend(), [](const Line& a, const Line& b) {
                       return a.id == b.id;
                     }).base();
  by_id_.erase(by_id_.begin(), first);
}

std::optional<std::string_view> Vocabulary::token(std::int32_t id) const noexcept {
  const auto at = std::lower_bound(by_id_.begin(), by_id_.end(), id,
                                   [](const Line& line, std::int32_t x) { return line.id < x; });
  if (at == by_id_.end() || at->id != id) return std::nullopt;
  return at->token;
}

}  // namespace tessera::text
