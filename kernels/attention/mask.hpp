// SPDX-License-Identifier: Apache-2.0
//
// Which keys a query sees, as a set of differences r = (key position) − (query position): every
// mask here depends on r alone. From that set follow the keys that a block of query rows sees at
// all (its runs), the tiles that need no mask, and the parts of a tile that need no work. Internal to
// each source because every ISA level compiles them for itself.
//
//   band         −left ≤ r ≤ right           full, sliding window, causal, causal window
//   log_sparse   δ = |r|, t = δ mod restart (δ without restart):  t < local, or t − local + 1 = 2ⁱ
//                Li et al. 2019 (LogSparse Transformer), §4.2: local attention, restart attention
//   log_sparse_causal   the same, and r ≤ 0
#pragma once

#include "kernels/attention/attention.hpp"
#include "kernels/extents.hpp"

namespace tessera::kernels {
namespace {

constexpr Index kNoKey = Index{1} << 40;  // beyond every difference

/// The smallest power of two that is ≥ x, for x ≥ 1.
constexpr Index power_up(Index x) noexcept {
  Index p = 1;
  while (p < x) p *= 2;
  return p;
}

/// The smallest visible distance that is ≥ δ ≥ 0 (kNoKey: none), and the largest that is ≤ δ.
constexpr Index next_distance(const AttentionMask& mask, Index delta) noexcept {
  const Index period = mask.restart > 0 ? delta / mask.restart * mask.restart : 0;
  const Index t = delta - period;
  if (t < mask.local) return delta;
  const Index next = mask.local - 1 + power_up(t - mask.local + 1);
  return period + (mask.restart > 0 && next > mask.restart ? mask.restart : next);
}
constexpr Index previous_distance(const AttentionMask& mask, Index delta) noexcept {
  const Index period = mask.restart > 0 ? delta / mask.restart * mask.restart : 0;
  const Index t = delta - period;
  if (t < mask.local) return delta;
  const Index up = power_up(t - mask.local + 1);
  return period + mask.local - 1 + (up == t - mask.local + 1 ? up : up / 2);
}

/// The smallest visible difference that is ≥ r; kNoKey if there is none.
constexpr Index next_visible(const AttentionMask& mask, Index r) noexcept {
  if (mask.kind == MaskKind::band) {
    const Index from = r > -mask.left ? r : -mask.left;
    return from <= mask.right ? from : kNoKey;
  }
  if (r <= 0) return -previous_distance(mask, -r);
  return mask.kind == MaskKind::log_sparse_causal ? kNoKey : next_distance(mask, r);
}

/// The largest visible difference that is ≤ r; −kNoKey if there is none.
constexpr Index previous_visible(const AttentionMask& mask, Index r) noexcept {
  if (mask.kind == MaskKind::band) {
    const Index from = r < mask.right ? r : mask.right;
    return from >= -mask.left ? from : -kNoKey;
  }
  if (r < 0) return -next_distance(mask, -r);
  return mask.kind == MaskKind::log_sparse_causal ? 0 : previous_distance(mask, r);
}

constexpr bool is_visible(const AttentionMask& mask, Index r) noexcept {
  return next_visible(mask, r) == r;
}

/// Is some difference, or every one, in [lo, hi] visible?
constexpr bool any_visible(const AttentionMask& mask, Index lo, Index hi) noexcept {
  return next_visible(mask, lo) <= hi;
}
constexpr bool all_visible(const AttentionMask& mask, Index lo, Index hi) noexcept {
  if (mask.kind == MaskKind::band) return lo >= -mask.left && hi <= mask.right;
  return lo > -mask.local && hi < mask.local && (mask.kind == MaskKind::log_sparse || hi <= 0);
}

struct KeyRun {
  Index begin, end;
};

/// The next keys in [j, Tk) that queries at positions [q_lo, q_hi] see: no key of a run's inside is
/// further than kGap from a visible one. Empty (begin = end) if there are none.
constexpr KeyRun next_run(const AttentionMask& mask, Index q_lo, Index q_hi, Index j,
                          Index Tk) noexcept {
  constexpr Index kGap = 16;
  Index r = next_visible(mask, j - q_hi);
  const Index begin = q_lo + r > j ? q_lo + r : j;
  if (r >= kNoKey || begin >= Tk) return {Tk, Tk};
  if (mask.kind == MaskKind::band) {
    const Index end = q_hi + mask.right + 1;
    return {begin, end < Tk ? end : Tk};
  }
  Index end = q_hi + r + 1;
  while (end < Tk) {
    r = next_visible(mask, r + 1);
    if (r >= kNoKey || q_lo + r > end + kGap) break;
    end = q_hi + r + 1;
  }
  return {begin, end < Tk ? end : Tk};
}

/// next_run() widened to whole groups of `step` keys, from a key j where a group begins. The keys in
/// between are the mask's to hide.
constexpr KeyRun next_groups(const AttentionMask& mask, Index q_lo, Index q_hi, Index j, Index Tk,
                             Index step) noexcept {
  const KeyRun run = next_run(mask, q_lo, q_hi, j, Tk);
  return {run.begin < run.end ? run.begin / step * step : run.begin,
          min_of(round_up(run.end, step), Tk)};
}

/// From the first to the last key in [j0, j1) that queries at positions [q_lo, q_hi] see; empty if
/// they see none.
constexpr KeyRun visible_keys(const AttentionMask& mask, Index q_lo, Index q_hi, Index j0,
                              Index j1) noexcept {
  const Index first = q_lo + next_visible(mask, j0 - q_hi);
  const Index last = q_hi + previous_visible(mask, j1 - 1 - q_lo);
  const Index begin = min_of(max_of(first, j0), j1);
  return {begin, max_of(min_of(last + 1, j1), begin)};
}

/// Keys [j0, j0+bc) of a block; of all its tiles the first, the last?
struct KeyTile {
  Index j0, bc;
  bool full;  // every query of the block sees every key
  bool first, last;
};

/// The tiles of the keys that a block of queries sees: runs, cut into equal pieces of at most Bc, in
/// groups of `step` keys.
class KeyTiles {
 public:
  constexpr KeyTiles(const AttentionMask& mask, Index q_lo, Index q_hi, Index Tk, Index Bc,
                     Index step = 1) noexcept
      : mask_{mask}, q_lo_{q_lo}, q_hi_{q_hi}, Tk_{Tk}, Bc_{Bc}, step_{step} {
    enter(0);
  }
  /// Is there a tile? It is keys [begin(), end()).
  constexpr bool valid() const noexcept { return run_.begin < run_.end; }
  constexpr Index begin() const noexcept { return cut(piece_); }
  constexpr Index end() const noexcept { return cut(piece_ + 1); }
  /// Does every query of the block see every key of the tile?
  constexpr bool full() const noexcept {
    return all_visible(mask_, begin() - q_hi_, end() - 1 - q_lo_);
  }
  constexpr void next() noexcept {
    if (++piece_ == pieces_) enter(run_.end);
  }
  /// The tile, and next(). Precondition: valid().
  constexpr KeyTile take() noexcept {
    KeyTile tile{begin(), end() - begin(), full(), first_, false};
    next();
    first_ = false;
    tile.last = !valid();
    return tile;
  }

 private:
  constexpr Index cut(Index piece) const noexcept {
    const Index groups = (run_.end - run_.begin + step_ - 1) / step_;
    return min_of(run_.begin + groups * piece / pieces_ * step_, run_.end);
  }
  constexpr void enter(Index j) noexcept {
    run_ = j < Tk_ ? next_groups(mask_, q_lo_, q_hi_, j, Tk_, step_) : KeyRun{Tk_, Tk_};
    pieces_ = (run_.end - run_.begin + Bc_ - 1) / Bc_;
    piece_ = 0;
  }

  AttentionMask mask_;
  Index q_lo_, q_hi_, Tk_, Bc_, step_;
  KeyRun run_{0, 0};
  Index piece_ = 0, pieces_ = 0;
  bool first_ = true;
};

}  // namespace
}  // namespace tessera::kernels
