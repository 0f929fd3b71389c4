// SPDX-License-Identifier: Apache-2.0
// The pairs of a word that wait to be merged: earliest merge first, of equal ones the leftmost.
//
// Merges of similar rank share a bucket. A bucket is sorted when its turn comes, and what a merge
// brings forth waits in a later one as a rule: so most work runs over memory in order, where a heap
// of all pairs would jump about in it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace tessera::text {

class MergeQueue {
 public:
  struct Candidate {
    std::uint32_t rank;
    std::int32_t place;
  };

  /// Begins anew, for a word of `symbols` and ranks below `ranks`.
  ///
  /// Precondition: the queue is empty.
  void start(std::size_t symbols, std::size_t ranks) {
    const std::size_t count = std::clamp<std::size_t>(symbols / 4, 1, kMostBuckets);
    shift_ = 0;
    while (ranks >> shift_ >= count) ++shift_;
    if (buckets_.size() < count) buckets_.resize(count);
    bucket_count_ = count;
    current_ = kNone;
    sorted_.clear();
    next_ = 0;
  }

  void push(Candidate c) {
    const std::uint64_t key =
        static_cast<std::uint64_t>(c.rank) << 32 | static_cast<std::uint32_t>(c.place);
    const std::size_t bucket = c.rank >> shift_;
    if (current_ == kNone || bucket > current_) {
      buckets_[bucket].push_back(key);
      return;
    }
    late_.push_back(key);
    std::push_heap(late_.begin(), late_.end(), std::greater<>());
  }

  std::optional<Candidate> pop() {
    while (late_.empty() && next_ == sorted_.size()) {
      if (!go_to_next_bucket()) return std::nullopt;
    }
    std::uint64_t key = 0;
    if (next_ == sorted_.size() || (!late_.empty() && late_.front() < sorted_[next_])) {
      std::pop_heap(late_.begin(), late_.end(), std::greater<>());
      key = late_.back();
      late_.pop_back();
    } else {
      key = sorted_[next_++];
    }
    return Candidate{static_cast<std::uint32_t>(key >> 32), static_cast<std::int32_t>(key)};
  }

 private:
  static constexpr std::size_t kMostBuckets = 1024;
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  bool go_to_next_bucket() {
    std::size_t bucket = current_ == kNone ? 0 : current_ + 1;
    while (bucket < bucket_count_ && buckets_[bucket].empty()) ++bucket;
    if (bucket >= bucket_count_) return false;
    current_ = bucket;
    sorted_.clear();
    sorted_.swap(buckets_[bucket]);
    next_ = 0;
    std::sort(sorted_.begin(), sorted_.end());
    return true;
  }

  // A key is rank · 2³² + place.
  std::vector<std::vector<std::uint64_t>> buckets_;  // by rank >> shift_
  std::size_t bucket_count_ = 0;
  std::vector<std::uint64_t> sorted_;  // of the current bucket
  std::size_t next_ = 0;               // of sorted_
  std::vector<std::uint64_t> late_;    // a heap: of this bucket or an earlier one, but came later
  std::size_t current_ = kNone;
  int shift_ = 0;
};

}  // namespace tessera::text
