// SPDX-License-Identifier: Apache-2.0
//
// The walks of kernels/attention/*.inl.hpp, function by function, with the same cuts of blocks,
// runs and tiles (blocks.hpp, mask.hpp).
#include "runtime/meters/replay_attention.hpp"

#include "runtime/meters/replay_attention_tile.hpp"

namespace tessera::meters {
namespace {

class AttentionTouch final : TileTouch {
 public:
  AttentionTouch(const AttentionTask& t, const kernels::Attention& kernel, Touch touch) noexcept
      : TileTouch(t, kernel, touch) {}

  void run() noexcept {
    switch (t_.dataflow) {
      case AttentionDataflow::streaming:
        return each_block(0, t_.Tq, Br_, [&](Index i0, Index i1) { streaming(i0, i1); });
      case AttentionDataflow::streaming_keys:
        return streaming_keys();
      case AttentionDataflow::interleaved:
        return each_block(0, t_.Tq, 2 * Br_, [&](Index i0, Index i1) { pair(i0, i1); });
      default:
        return row_complete();
    }
  }

 private:
  void streaming(Index i0, Index i1) noexcept {
    KeyTiles tiles = key_tiles(i0, i1);
    if (!tiles.valid()) return zero_rows(i0, i1);
    const Block b = start_block(state_, i0, i1);
    for (bool first = true; tiles.valid(); first = false) {
      const Index j0 = tiles.begin(), bc = tiles.end() - j0;
      const bool full = tiles.full();
      tiles.next();
      attend_tile(b, j0, bc, full, first, !tiles.valid());
    }
  }

  void streaming_keys() noexcept {
    Index block = 0;
    each_block(0, t_.Tq, Br_, [&](Index i0, Index i1) {
      start_block(state(block++), i0, i1);
      zero_rows(i0, i1);
    });
    const Index tiles = (t_.Tk + Bc_ - 1) / Bc_;
    for (Index tile = 0; tile < tiles; ++tile) {
      const Index k0 = t_.Tk * tile / tiles, k1 = t_.Tk * (tile + 1) / tiles;
      block = 0;
      each_block(0, t_.Tq, Br_, [&](Index i0, Index i1) {
        const Block b = block_at(state(block++), i0, i1);
        const Index q_lo = t_.q_begin + i0, q_hi = t_.q_begin + i1 - 1;
        const Index first_key = kernels::next_run(t_.mask, q_lo, q_hi, 0, t_.Tk).begin;
        for (Index j = k0; j < k1;) {
          const KeyRun run = kernels::next_run(t_.mask, q_lo, q_hi, j, k1);
          if (run.begin == run.end) break;
          const bool full = kernels::all_visible(t_.mask, run.begin - q_hi, run.end - 1 - q_lo);
          attend_tile(b, run.begin, run.end - run.begin, full, run.begin == first_key, false);
          j = run.end;
        }
      });
    }
    block = 0;
    each_block(0, t_.Tq, Br_, [&](Index i0, Index i1) {
      const Block b = block_at(state(block++), i0, i1);
      reciprocal_of_sums(b);
      for (Index i = i0; i < i1; ++i) touch_.write(t_.o + i * t_.ldo, t_.d);
    });
  }

  Index block_scores(const Block& b, float* st) noexcept {
    Index keys = 0;
    for (KeyTiles tiles = key_tiles(b.i0, b.i0 + b.rows); tiles.valid(); tiles.next()) {
      const Index j0 = tiles.begin(), bc = tiles.end() - j0;
      const Init init = set_start(b, j0, bc, tiles.full());
      masked_scores(b, init, st + keys * b.ld, j0, bc, tiles.full());
      touch_.read(b.alpha, b.ld);
      touch_.write(b.m, b.ld);
      keys += bc;
    }
    return keys;
  }
  void block_values(const Block& b, const float* pt) noexcept {
    KeyTiles tiles = key_tiles(b.i0, b.i0 + b.rows);
    if (!tiles.valid()) return zero_rows(b.i0, b.i0 + b.rows);
    reciprocal_of_sums(b);
    Index keys = 0;
    for (bool first = true; tiles.valid(); first = false) {
      const Index j0 = tiles.begin(), bc = tiles.end() - j0;
      const bool full = tiles.full();
      tiles.next();
      add_values(b, pt + keys * b.ld, j0, bc, full, first ? Start::zero : Start::kept,
                 !tiles.valid());
      keys += bc;
    }
  }
  Index visible_keys(const Block& b) const noexcept {
    Index keys = 0;
    for (KeyTiles tiles = key_tiles(b.i0, b.i0 + b.rows); tiles.valid(); tiles.next())
      keys += tiles.end() - tiles.begin();
    return keys;
  }

  void row_complete() noexcept {
    const Index block_cells = (t_.Tk + 15) / 16 * 16 * Br_;
    const Index blocks = kernels::count_blocks(t_.Tq, Br_);
    if (t_.dataflow == AttentionDataflow::flat_rows) {
      float* const S = state(1);
      return each_block(0, t_.Tq, Br_, [&](Index i0, Index i1) {
        const Block b = start_block(state(0), i0, i1);
        const Index keys = block_scores(b, S);
        softmax(b, S, S, keys);
        block_values(b, S);
      });
    }
    float* const S = state(blocks);
    float* const P = t_.dataflow == AttentionDataflow::layerwise ? S + blocks * block_cells : S;
    Index n = 0;
    each_block(0, t_.Tq, Br_, [&](Index i0, Index i1) {
      block_scores(start_block(state(n), i0, i1), S + n * block_cells);
      ++n;
    });
    n = 0;
    each_block(0, t_.Tq, Br_, [&](Index i0, Index i1) {
      const Block b = block_at(state(n), i0, i1);
      softmax(b, S + n * block_cells, P + n * block_cells, visible_keys(b));
      ++n;
    });
    n = 0;
    each_block(0, t_.Tq, Br_, [&](Index i0, Index i1) {
      block_values(block_at(state(n), i0, i1), P + n * block_cells);
      ++n;
    });
  }

  // ---- interleaved.inl.hpp: exponentials of one block between the products of the other

  struct Exponentials {
    float* at = nullptr;
    Index left = 0, i = 0, ld = 0;
    const float* m = nullptr;
    float* sum = nullptr;
  };
  void one(Exponentials& e) noexcept {
    touch_.read(e.m + e.i, V_);
    touch_.write(e.at, V_);
    touch_.write(e.sum + e.i, V_);
    e.at += V_;
    e.i = e.i + V_ == e.ld ? 0 : e.i + V_;
    --e.left;
  }
  void drain(Exponentials& e) noexcept {
    while (e.left > 0) one(e);
  }
  Exponentials begin_exponentials(const Block& b, float* st, Index bc) noexcept {
    touch_.read(b.alpha, b.ld);
    for (float* p : {b.m, b.alpha, b.l}) touch_.write(p, b.ld);
    return {st, bc * b.ld / V_, 0, b.ld, b.m, b.l};
  }
  void multiply(const Block& b, float* st, Index j0, Index bc, bool full,
                Exponentials& e) noexcept {
    const Init init = set_start(b, j0, bc, full);
    touch_.write(b.alpha, b.ld);
    const Index most = V_ == 16 ? 12 : V_ == 8 ? 4 : 3, width = V_ > 4 ? 2 * V_ : V_;
    for_each_group(bc, most, [&](Index j, Index keys) {
      for (Index i = 0; i < b.ld;) {
        const Index n = i + width <= b.ld ? width : V_;
        if (init.p != nullptr) {
          for (Index r = 0; r < keys; ++r) touch_.read(init.p + (j + r) * init.ld + i, n);
        }
        touch_.broadcast_rows(t_.k + (j0 + j) * t_.ldk, t_.ldk, keys, t_.d, [&](Index k) {
          touch_.read(b.qt + k * b.ld + i, n);
          if (k % 2 == 1 && e.left > 0) one(e);
        });
        touch_.write(b.alpha + i, n);
        touch_.write_rows(st + j * b.ld + i, b.ld, keys, n);
        i += n;
      }
    });
    drain(e);
  }

  void pair(Index i0, Index i1) noexcept {
    const Index mid = i0 + kernels::first_row(i1 - i0, 2, V_, 1);
    KeyTiles tiles = key_tiles(i0, i1);
    if (!tiles.valid()) return zero_rows(i0, i1);
    float* const st[2] = {tile_.st, state_};
    float* const states = state_ + Bc_ * Br_;
    const Block block[2] = {start_block(states, i0, mid),
                            start_block(states + block_elements(Br_, t_.d), mid, i1)};
    const bool two = i1 > mid;
    Exponentials waiting;
    const auto add = [&](int n, Index j0, Index bc, bool full, bool first, bool last) {
      if (last) reciprocal_of_sums(block[n]);
      add_values(block[n], st[n], j0, bc, full, first ? Start::zero : Start::scaled, last);
    };
    Index j0 = tiles.begin(), bc = tiles.end() - j0;
    bool full = tiles.full();
    multiply(block[0], st[0], j0, bc, full, waiting);
    for (bool first = true, last = false; !last; first = false) {
      tiles.next();
      last = !tiles.valid();
      waiting = begin_exponentials(block[0], st[0], bc);
      if (two) multiply(block[1], st[1], j0, bc, full, waiting);
      drain(waiting);
      add(0, j0, bc, full, first, last);
      if (two) waiting = begin_exponentials(block[1], st[1], bc);
      const Index j = j0, c = bc;
      const bool f = full;
      if (!last) {
        j0 = tiles.begin();
        bc = tiles.end() - j0;
        full = tiles.full();
        multiply(block[0], st[0], j0, bc, full, waiting);
      }
      drain(waiting);
      if (two) add(1, j, c, f, first, last);
    }
  }
};

}  // namespace

void touch_attention(const AttentionTask& task, const kernels::Attention& kernel,
                     Touch touch) noexcept {
  AttentionTouch(task, kernel, touch).run();
}

Index attention_scratch(const kernels::Attention& kernel, AttentionDataflow dataflow, Index Tq,
                        Index Tk, Index d) noexcept {
  const Index blocks = kernels::count_blocks(Tq, kernel.Br), state = block_elements(kernel.Br, d);
  const Index cells = (Tk + 15) / 16 * 16 * kernel.Br, tile = tile_elements(kernel.Br, kernel.Bc);
  switch (dataflow) {
    case AttentionDataflow::layerwise:
      return tile + blocks * (state + 2 * cells);
    case AttentionDataflow::flat_head:
      return tile + blocks * (state + cells);
    case AttentionDataflow::flat_rows:
      return tile + state + cells;
    case AttentionDataflow::streaming:
      return tile + state;
    case AttentionDataflow::streaming_keys:
      return tile + blocks * state;
    case AttentionDataflow::interleaved:
      return tile + kernel.Bc * kernel.Br + 2 * state;
  }
  return 0;
}

}  // namespace tessera::meters
