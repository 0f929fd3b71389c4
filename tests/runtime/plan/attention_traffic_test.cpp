// SPDX-License-Identifier: Apache-2.0
//
// The model's bytes against the walk itself: the blocks and key tiles that the kernels visit (the
// same functions) go through a fully associative cache of Z words that evicts the least recently
// used tile. Counted are the words that are not there when they are read or written
// (write-allocate) and the changed words that are evicted; what is left at the end is written.
// Nothing here knows what the model says stays.
#include <gtest/gtest.h>

#include <list>
#include <map>
#include <tuple>

#include "kernels/attention/blocks.hpp"
#include "kernels/attention/mask.hpp"
#include "kernels/kernel_table.hpp"
#include "runtime/plan/attention.hpp"

namespace tessera {
namespace {

using kernels::AttentionDataflow;

class TileCache {
 public:
  TileCache(double Z, const kernels::AttentionBytes& bytes) : Z_(Z), e_(bytes) {}

  void read(char matrix, Index i, Index j, Index n) { touch({matrix, i, j}, n, false); }
  void write(char matrix, Index i, Index j, Index n) { touch({matrix, i, j}, n, true); }
  /// Bytes moved so far, and those that are still to be written.
  [[nodiscard]] double moved() const {
    double bytes = moved_;
    for (const Entry& e : order_) {
      if (e.changed) bytes += e.bytes;
    }
    return bytes;
  }

 private:
  using Key = std::tuple<char, Index, Index>;
  struct Entry {
    Key key;
    double bytes;
    bool changed;
  };

  void touch(const Key& key, Index n, bool is_write) {
    const char matrix = std::get<0>(key);
    const Index element = matrix == 'O'                                     ? e_.o
                          : matrix == 'Q' || matrix == 'K' || matrix == 'V' ? e_.qkv
                                                                            : e_.scratch;
    const auto bytes = static_cast<double>(n * element);
    const auto found = where_.find(key);
    if (found != where_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      order_.front().changed |= is_write;
      return;
    }
    moved_ += bytes;  // a write allocates its lines
    order_.push_front({key, bytes, is_write});
    where_[key] = order_.begin();
    used_ += bytes;
    while (used_ > Z_ && order_.size() > 1) {
      if (order_.back().changed) moved_ += order_.back().bytes;
      used_ -= order_.back().bytes;
      where_.erase(order_.back().key);
      order_.pop_back();
    }
  }

  double Z_, used_ = 0, moved_ = 0;
  kernels::AttentionBytes e_;
  std::list<Entry> order_;
  std::map<Key, std::list<Entry>::iterator> where_;
};

/// One head, all keys visible, one thread.  Q (T,d), K (T,d), V (T,d), O (T,d); X: Q', m, l, α of a
/// block, S, P: scores (keys, rows) of a block and a key tile.
class Replay {
 public:
  Replay(AttentionDataflow dataflow, Index T, Index d, const kernels::Attention& kernel, double Z)
      : dataflow_(dataflow), T_(T), d_(d), kernel_(kernel), cache_(Z, kernel.bytes) {}

  double bytes() {
    each_block(0, T_, rows_per_task(dataflow_, T_, kernel_), [&](Index a, Index b) {
      switch (dataflow_) {
        case AttentionDataflow::streaming:
          return streaming(a, b);
        case AttentionDataflow::streaming_keys:
          return streaming_keys(a, b);
        default:
          return row_complete(a, b);
      }
    });
    return cache_.moved();
  }

 private:
  template <class Body>
  void each_block(Index begin, Index end, Index most, Body&& body) const {
    const Index rows = end - begin, count = kernels::count_blocks(rows, most);
    const auto at = [&](Index n) { return begin + kernels::first_row(rows, count, kernel_.V, n); };
    for (Index n = 0; n < count; ++n) body(at(n), at(n + 1));
  }
  template <class Body>
  void each_tile(Index i0, Index i1, Body&& body) const {
    for (kernels::KeyTiles t({}, i0, i1 - 1, T_, kernel_.Bc); t.valid(); t.next())
      body(t.begin(), t.end() - t.begin());
  }

  Index padded(Index rows) const { return (rows + kernel_.V - 1) / kernel_.V * kernel_.V; }

  void pack(Index i0, Index i1, Index state) {
    cache_.read('Q', i0, 0, (i1 - i0) * d_);
    cache_.write('X', state, 0, padded(i1 - i0) * (d_ + 4));
  }
  void add_values(Index i0, Index i1, Index j0, Index bc) {
    cache_.read('V', j0, 0, bc * d_);
    if (j0 > 0) cache_.read('O', i0, 0, (i1 - i0) * d_);
    cache_.write('O', i0, 0, (i1 - i0) * d_);
  }
  void tile(Index i0, Index i1, Index state, Index j0, Index bc) {
    cache_.read('X', state, 0, padded(i1 - i0) * (d_ + 4));
    cache_.read('K', j0, 0, bc * d_);
    cache_.write('P', 0, 0, bc * padded(i1 - i0));  // the same scratch for every tile
    add_values(i0, i1, j0, bc);
  }

  void streaming(Index a, Index b) {
    each_block(a, b, kernel_.Br, [&](Index i0, Index i1) {
      pack(i0, i1, 0);
      each_tile(i0, i1, [&](Index j0, Index bc) { tile(i0, i1, 0, j0, bc); });
    });
  }

  void streaming_keys(Index a, Index b) {
    each_block(a, b, kernel_.Br, [&](Index i0, Index i1) { pack(i0, i1, i0 - a); });
    each_tile(a, b, [&](Index j0, Index bc) {
      each_block(a, b, kernel_.Br, [&](Index i0, Index i1) { tile(i0, i1, i0 - a, j0, bc); });
    });
  }

  void row_complete(Index a, Index b) {
    const bool whole = dataflow_ != AttentionDataflow::flat_rows;
    const char second = dataflow_ == AttentionDataflow::layerwise ? 'P' : 'S';
    const auto at = [&](Index i0) { return whole ? i0 : Index{0}; };  // of a block's scratch
    const auto scores = [&](Index i0, Index i1) {
      pack(i0, i1, at(i0));
      each_tile(i0, i1, [&](Index j0, Index bc) {
        cache_.read('X', at(i0), 0, padded(i1 - i0) * (d_ + 4));
        cache_.read('K', j0, 0, bc * d_);
        cache_.write('S', at(i0), j0, bc * padded(i1 - i0));
      });
    };
    const auto softmax = [&](Index i0, Index i1) {
      each_tile(i0, i1, [&](Index j0, Index bc) {
        cache_.read('S', at(i0), j0, bc * padded(i1 - i0));
        cache_.write(second, at(i0), j0, bc * padded(i1 - i0));
      });
    };
    const auto values = [&](Index i0, Index i1) {
      each_tile(i0, i1, [&](Index j0, Index bc) {
        cache_.read(second, at(i0), j0, bc * padded(i1 - i0));
        add_values(i0, i1, j0, bc);
      });
    };
    if (whole) {
      each_block(a, b, kernel_.Br, scores);
      each_block(a, b, kernel_.Br, softmax);
      each_block(a, b, kernel_.Br, values);
    } else {
      each_block(a, b, kernel_.Br, [&](Index i0, Index i1) {
        scores(i0, i1);
        softmax(i0, i1);
        values(i0, i1);
      });
    }
  }

  AttentionDataflow dataflow_;
  Index T_, d_;
  const kernels::Attention& kernel_;
  TileCache cache_;
};

double model_bytes(AttentionDataflow dataflow, Index T, Index d, Index l2_bytes,
                   const kernels::Attention& kernel) {
  const AttentionCaches caches{.l1_bytes = 48 << 10, .l2_bytes = l2_bytes, .l3_bytes = 0};
  return attention_cost(dataflow, {.T = T, .d = d, .heads = 1}, caches, kernel).l2_bytes;
}

/// A cache that is neither clearly larger nor smaller than what is used again keeps a part of it;
/// the model says nothing is kept.
bool is_marginal(AttentionDataflow dataflow, Index T, Index d, Index bytes,
                 const kernels::Attention& kernel) {
  const double at = model_bytes(dataflow, T, d, bytes, kernel);
  for (const double factor : {0.5, 0.7, 1.4, 2.0}) {
    const auto other = static_cast<Index>(factor * static_cast<double>(bytes));
    if (model_bytes(dataflow, T, d, other, kernel) != at) return true;
  }
  return false;
}

/// Compares the dataflows that keep a tile of each operand, with elements of `bytes`.
void expect_as_walked(const kernels::AttentionBytes& element) {
  kernels::Attention kernel = kernels::kernels_at(Isa::baseline).attention[Precision::f32];
  kernel.bytes = element;
  for (const AttentionDataflow dataflow :
       {AttentionDataflow::streaming, AttentionDataflow::streaming_keys,
        AttentionDataflow::flat_rows, AttentionDataflow::flat_head, AttentionDataflow::layerwise}) {
    int compared = 0;
    for (const Index d : {32, 64, 128}) {
      for (const Index T : {64, 197, 512, 1000, 2048, 4096, 8192}) {
        for (const Index bytes : {1 << 20, 2 << 20, 16 << 20}) {
          if (is_marginal(dataflow, T, d, bytes, kernel)) continue;
          Replay replay(dataflow, T, d, kernel, 0.75 * static_cast<double>(bytes));
          const double model = model_bytes(dataflow, T, d, bytes, kernel), walked = replay.bytes();
          EXPECT_NEAR(model / walked, 1.0, 0.005)
              << to_string(dataflow) << " T=" << T << " d=" << d << " bytes=" << bytes;
          ++compared;
        }
      }
    }
    EXPECT_GT(compared, 30) << to_string(dataflow);
  }
}

TEST(AttentionTrafficTest, EqualsTheReplayOfTheWalkWhereATileFits) {
  expect_as_walked({});
}

TEST(AttentionTrafficTest, CountsElementsOfOtherSizes) {
  for (const kernels::AttentionBytes& element :
       {kernels::AttentionBytes{.qkv = 2, .o = 2, .scratch = 4},
        kernels::AttentionBytes{.qkv = 4, .o = 8, .scratch = 4},
        kernels::AttentionBytes{.qkv = 4, .o = 2, .scratch = 4}}) {
    expect_as_walked(element);
  }
}

}  // namespace
}  // namespace tessera
