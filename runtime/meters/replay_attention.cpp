// SPDX-License-Identifier: Apache-2.0
//
// The walk of attention (kernels/attention/walk.hpp) with the steps of attention.inl.hpp,
// row_complete.inl.hpp and interleaved.inl.hpp as touches.
#include "runtime/meters/replay_attention.hpp"

#include "runtime/meters/replay_attention_tile.hpp"

namespace tessera::meters {
namespace {

class AttentionTouch final : TileTouch {
 public:
  AttentionTouch(const AttentionTask& t, Index V, Touch touch) noexcept
      : TileTouch(t, V, touch),
        at_(kernels::scratch_layout(t.dataflow, t.Tq, t.Tk, t.d, t.narrow != nullptr)),
        st_{tile_.st, t.scratch + at_.second} {
    tile_.vt = t.scratch + at_.values;
  }

  void zero_rows(Index i0, Index i1) noexcept {
    if (t_.narrow != nullptr) {
      return touch_.write_rows(t_.narrow + i0 * t_.ldn, t_.ldn, i1 - i0, t_.d);
    }
    touch_.write_rows(t_.o + i0 * t_.ldo, t_.ldo, i1 - i0, t_.d);
  }
  Block block_at(Index slot, Index i0, Index i1) const noexcept {
    float* const state = t_.scratch + at_.states + slot * kernels::block_elements(t_.d);
    Block b = kernels::block_at(state, t_.d, V_, i0, i1);
    const bool narrow = t_.narrow != nullptr;
    b.o = narrow ? t_.scratch + at_.O + slot * kernels::kQueryRows * t_.d : t_.o + i0 * t_.ldo;
    b.ldo = narrow ? t_.d : t_.ldo;
    return b;
  }
  Block start_block(Index slot, Index i0, Index i1) noexcept {
    const Block b = block_at(slot, i0, i1);
    pack_queries(b);
    if (t_.narrow != nullptr) touch_.write(b.o, b.rows * t_.d);
    return b;
  }
  void attend_tile(const Block& b, const KeyTile& tile) noexcept {
    const Init init = set_start(b, tile);
    if (tile.full) {
      fused_probabilities(b, init, tile);
    } else {
      masked_scores(b, init, tile_.st, tile);
      touch_.write(b.m, b.ld);
      touch_.write(b.alpha, b.ld);
      exponentials(b, tile_.st, tile_.st, tile.bc);
    }
    if (tile.last) reciprocal_of_sums(b);
    TileTouch::add_values(b, tile_.st, tile, tile.full ? Start::kept : Start::scaled, tile.full);
    if (tile.last) finish(b);
  }
  void divide_rows(const Block& b) noexcept {
    reciprocal_of_sums(b);
    touch_.write_rows(b.o, b.ldo, b.rows, t_.d);
    finish(b);
  }

  void add_scores(const Block& b, Index slot, Index keys, const KeyTile& tile) noexcept {
    const Init init = set_start(b, tile);
    masked_scores(b, init, scores(at_.S, slot) + keys * b.ld, tile);
    touch_.read(b.alpha, b.ld);
    touch_.write(b.m, b.ld);
  }
  void softmax(const Block& b, Index slot, Index keys) noexcept {
    exponentials(b, scores(at_.S, slot), scores(at_.P, slot), keys);
  }
  void divide_sums(const Block& b) noexcept { reciprocal_of_sums(b); }
  void add_values(const Block& b, Index slot, Index keys, const KeyTile& tile) noexcept {
    TileTouch::add_values(b, scores(at_.P, slot) + keys * b.ld, tile, Start::kept);
    if (tile.last) finish(b);
  }

  void multiply(int n, const Block& b, const KeyTile& tile) noexcept {
    const Init init = set_start(b, tile);
    touch_.write(b.alpha, b.ld);
    const Index width = kernels::woven_vectors(V_) * V_;
    for_each_group(tile.bc, kernels::woven_rows(V_), [&](Index j, Index keys) {
      for (Index i = 0; i < b.ld;) {
        const Index lanes = i + width <= b.ld ? width : V_;
        if (init.p != nullptr) {
          for (Index r = 0; r < keys; ++r) touch_.read(init.p + (j + r) * init.ld + i, lanes);
        }
        touch_.broadcast_rows(rows_of(t_.k, t_.ldk, tile.j0 + j), t_.ldk / KR_, keys, t_.d / KR_,
                              [&](Index k) {
                                touch_.read(b.qt + k * b.ld + i, lanes);
                                if ((KR_ > 1 || k % 2 == 1) && left_ > 0) one();
                              });
        touch_.write(b.alpha + i, lanes);
        touch_.write_rows(st_[n] + j * b.ld + i, b.ld, keys, lanes);
        i += lanes;
      }
    });
    drain();
  }
  void begin_exponentials(int n, const Block& b, const KeyTile& tile) noexcept {
    touch_.read(b.alpha, b.ld);
    for (float* p : {b.m, b.alpha, b.l}) touch_.write(p, b.ld);
    waiting_ = b;
    next_ = st_[n];
    left_ = tile.bc * b.ld / V_;
    i_ = 0;
  }
  void drain() noexcept {
    while (left_ > 0) one();
  }
  void add(int n, const Block& b, const KeyTile& tile) noexcept {
    if (tile.last) reciprocal_of_sums(b);
    TileTouch::add_values(b, st_[n], tile, Start::scaled);
    if (tile.last) finish(b);
  }

 private:
  float* scores(Index at, Index slot) const noexcept {
    return t_.scratch + at + slot * kernels::score_elements(t_.Tk);
  }
  /// One vector of the exponentials that wait.
  void one() noexcept {
    touch_.read(waiting_.m + i_, V_);
    touch_.write(next_, V_);
    touch_.write(waiting_.l + i_, V_);
    next_ += V_;
    i_ = i_ + V_ == waiting_.ld ? 0 : i_ + V_;
    --left_;
  }

  kernels::ScratchLayout at_;
  float* st_[2];
  Block waiting_{};
  float* next_ = nullptr;
  Index left_ = 0, i_ = 0;
};

}  // namespace

void touch_attention(const AttentionTask& task, Index V, Touch touch) noexcept {
  AttentionTouch visitor(task, V, touch);
  kernels::walk_task(task, V, visitor);
}

}  // namespace tessera::meters
