// SPDX-License-Identifier: Apache-2.0
#include "models/text/merge_bounds.hpp"

#include <algorithm>
#include <bit>

namespace tessera::text {
namespace {

constexpr std::size_t kBitsPerPair = 16;
constexpr std::int32_t kUnknown = -1;

struct Ends {
  std::int32_t first = kUnknown;
  std::int32_t last = kUnknown;
};

// The ends of every token, or none. What no merge makes begins and ends with itself.
std::vector<Ends> ends_of(std::span<const MergeBounds::Merge> merges, std::size_t id_count) {
  std::vector<Ends> ends(id_count);
  const auto at = [&](std::int32_t id) -> Ends& { return ends[static_cast<std::size_t>(id)]; };
  for (std::size_t id = 0; id < id_count; ++id) {
    ends[id] = {static_cast<std::int32_t>(id), static_cast<std::int32_t>(id)};
  }
  for (const MergeBounds::Merge& m : merges) at(m.both) = {};
  // As a rule, one pass does it: the parts of a merge are made by earlier ones.
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (const MergeBounds::Merge& m : merges) {
      const std::int32_t first = at(m.left).first;
      const std::int32_t last = at(m.right).last;
      if (at(m.both).first != kUnknown || first == kUnknown || last == kUnknown) continue;
      at(m.both) = {first, last};
      goes_on = true;
    }
  }
  const bool is_unique =
      std::all_of(merges.begin(), merges.end(), [&](const MergeBounds::Merge& m) {
        const Ends both = at(m.both);
        return both.first != kUnknown && at(m.left).first == both.first &&
               at(m.right).last == both.last && at(m.left).last != kUnknown &&
               at(m.right).first != kUnknown;
      });
  if (!is_unique) ends.clear();
  return ends;
}

}  // namespace

std::optional<MergeBounds> MergeBounds::of(std::span<const Merge> merges, std::size_t id_count) {
  const std::vector<Ends> ends = ends_of(merges, id_count);
  if (ends.empty()) return std::nullopt;
  std::vector<std::uint64_t> pairs;
  pairs.reserve(merges.size());
  for (const Merge& m : merges) {
    pairs.push_back(key(ends[static_cast<std::size_t>(m.left)].last,
                        ends[static_cast<std::size_t>(m.right)].first));
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  return MergeBounds(pairs);
}

MergeBounds::MergeBounds(const std::vector<std::uint64_t>& pairs) {
  const std::size_t count = std::bit_ceil(std::max<std::size_t>(64, kBitsPerPair * pairs.size()));
  bits_.resize(count / 64);
  shift_ = 64 - std::countr_zero(count);
  for (const std::uint64_t k : pairs) {
    const std::uint64_t bit =
        hash(static_cast<std::int32_t>(k >> 32), static_cast<std::int32_t>(k)) >> shift_;
    bits_[bit >> 6] |= std::uint64_t{1} << (bit & 63);
  }
}

}  // namespace tessera::text
