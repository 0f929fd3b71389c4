// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/attention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/attention/walk.hpp"
#include "runtime/program/mask.hpp"

namespace tessera {
namespace {

using kernels::AttentionDataflow;
using kernels::AttentionMask;
using kernels::KeyTile;

constexpr std::array kDataflows{AttentionDataflow::streaming,   AttentionDataflow::flat_rows,
                                AttentionDataflow::interleaved, AttentionDataflow::streaming_keys,
                                AttentionDataflow::flat_head,   AttentionDataflow::layerwise};

/// Blocks that streaming_keys carries from tile to tile of keys: as many as a task has, or the kernel takes.
Index carried_blocks(const kernels::Attention& kernel) noexcept {
  return kernel.packing_rows > 0 ? kernel.carried : kCarriedBlocks;
}

bool is_row_complete(AttentionDataflow dataflow) noexcept {
  return dataflow == AttentionDataflow::layerwise || dataflow == AttentionDataflow::flat_head ||
         dataflow == AttentionDataflow::flat_rows;
}

/// The walk's visitor that adds up what the kernels of one head do.
class Counter {
 public:
  Counter(AttentionDataflow dataflow, const AttentionShape& shape, const kernels::Attention& kernel)
      : shape_(shape), V_(kernel.V) {
    const Index T = shape.T, step = rows_per_task(dataflow, T, kernel);
    const Index tasks = kernels::count_blocks(T, step);
    for (Index n = 0; n < tasks; ++n) {
      q_begin_ = kernels::first_row(T, tasks, V_, n);
      kernels::walk_attention(dataflow,
                              {.Tq = kernels::first_row(T, tasks, V_, n + 1) - q_begin_,
                               .Tk = T,
                               .q_begin = q_begin_,
                               .mask = shape.mask,
                               .Br = kernel.Br,
                               .Bc = kernel.Bc,
                               .V = V_,
                               .step = kernel.step,
                               .carried = kernel.carried},
                              *this);
    }
  }
  const AttentionCounts& counts() const noexcept { return counts_; }
  /// Elements of K and V over all tiles.
  Index kv_elements() const noexcept { return kv_elements_; }
  /// Most keys that one block sees.
  Index most_keys() const noexcept { return most_keys_; }

  // ---- Steps

  struct Block {
    Index slot, i0, rows, ld;
  };
  static void zero_rows(Index, Index) noexcept {}
  Block block_at(Index slot, Index i0, Index i1) const noexcept {
    return {slot, i0, i1 - i0, kernels::round_up(i1 - i0, V_)};
  }
  Block start_block(Index slot, Index i0, Index i1) noexcept {
    counts_.words += (i1 - i0) * shape_.d;
    return block_at(slot, i0, i1);
  }
  void attend_tile(const Block& b, const KeyTile& tile) {
    scores(b, tile);
    values(b, tile);
  }
  void divide_rows(const Block& b) noexcept { counts_.words += 2 * b.rows * shape_.d; }

  void add_scores(const Block& b, Index, Index, const KeyTile& tile) noexcept {
    counts_.words += tile.bc * b.ld;
    scores(b, tile);
  }
  void softmax(const Block& b, Index, Index keys) noexcept { counts_.words += 2 * keys * b.ld; }
  static void divide_sums(const Block&) noexcept {}
  void add_values(const Block& b, Index, Index, const KeyTile& tile) {
    counts_.words += tile.bc * b.ld;
    values(b, tile);
  }

  void multiply(int, const Block& b, const KeyTile& tile) noexcept {
    counts_.score_cells += tile.bc * b.ld;
  }
  static void begin_exponentials(int, const Block&, const KeyTile&) noexcept {}
  static void drain() noexcept {}
  void add(int, const Block& b, const KeyTile& tile) { values(b, tile); }

 private:
  void scores(const Block& b, const KeyTile& tile) noexcept {
    if (tile.full) {
      counts_.score_cells += tile.bc * b.ld;
      return;
    }
    kernels::for_each_score_tile(shape_.mask, q_begin_ + b.i0, b.rows, V_, tile.j0, tile.bc,
                                 [&](Index, Index keys, Index i, Index end, bool visible) {
                                   if (visible) counts_.score_cells += keys * (end - i);
                                 });
  }
  void values(const Block& b, const KeyTile& tile) {
    const auto slot = static_cast<std::size_t>(b.slot);
    if (slot >= keys_.size()) keys_.resize(slot + 1);
    Index& keys = keys_[slot];
    keys = tile.first ? tile.bc : keys + tile.bc;
    most_keys_ = std::max(most_keys_, keys);
    kv_elements_ += 2 * tile.bc * shape_.d;
    counts_.tiles += 1;
    counts_.boundary_tiles += tile.full ? 0 : 1;
    counts_.exp_cells += tile.bc * b.ld;
    counts_.words += 2 * tile.bc * shape_.d + (tile.first ? 1 : 2) * b.rows * shape_.d;
    if (tile.full) {
      counts_.value_cells += tile.bc * b.rows;
      return;
    }
    kernels::for_each_group(b.rows, kernels::tile_rows(V_), [&](Index i, Index rows) {
      const Index q_lo = q_begin_ + b.i0 + i;
      const kernels::KeyRun run =
          kernels::visible_keys(shape_.mask, q_lo, q_lo + rows - 1, tile.j0, tile.j0 + tile.bc);
      counts_.value_cells += (run.end - run.begin) * rows;
    });
  }

  const AttentionShape& shape_;
  Index V_, q_begin_ = 0;
  Index kv_elements_ = 0, most_keys_ = 0;
  std::vector<Index> keys_;  // that a block has seen, by slot
  AttentionCounts counts_{};
};

/// Bytes of one block of Q', O and scores with one tile of K and V.
Index live_bytes(Index T, Index d, const kernels::Attention& kernel) noexcept {
  const Index Br = std::min(kernel.Br, T), Bc = std::min(kernel.Bc, T);
  const kernels::AttentionBytes& e = kernel.bytes;
  return (e.scratch + e.o) * Br * d + 2 * e.qkv * Bc * d + e.scratch * Br * Bc;
}

/// Bytes of one head that move into and out of a cache of Z bytes: Q, K and V once, O twice (a
/// store allocates its line, which goes back later); K and V again for every block where the bytes
/// touched `between` two blocks' uses of a key do not stay (neighbours see nearly the same keys), Q
/// and O again for every key tile where those do not; scores that do not fit. Equals the walk
/// through an LRU cache of Z bytes that holds a tile (attention_traffic_test); for a smaller one it
/// is not validated. Between two uses of K and V in streaming_keys the state that is carried is not
/// counted: where K and V fit and both do not, it says too little.
double moved_bytes(const AttentionCost& cost, const AttentionShape& shape,
                   const kernels::AttentionBytes& e, double kv_executed, double between,
                   double scores, double blocks, double carried_blocks, double Z) {
  const double Td = static_cast<double>(shape.T) * static_cast<double>(shape.d);
  const double live = static_cast<double>(cost.live_bytes);
  const auto qkv = static_cast<double>(e.qkv), o = static_cast<double>(e.o),
             q_packed = static_cast<double>(e.scratch);
  double bytes = (3 * qkv + 2 * o) * Td;
  if (cost.dataflow == AttentionDataflow::streaming_keys) {
    const double chunks = std::ceil(blocks / carried_blocks);
    const double carried = (q_packed + o) * Td / chunks,
                 key_tiles = std::ceil(static_cast<double>(cost.counts.tiles) / blocks);
    if (between > Z) bytes += 2 * qkv * Td * (chunks - 1);
    if (live + carried > Z) bytes += (q_packed + 2 * o) * Td * (key_tiles - 1);
  } else if (between > Z) {
    bytes += std::max(0.0, kv_executed - 2 * qkv * Td);
  }
  if (live > Z) bytes += scores;
  return bytes;
}

}  // namespace

Index rows_per_task(AttentionDataflow dataflow, Index T,
                    const kernels::Attention& kernel) noexcept {
  const Index Br = kernel.Br;
  if (kernel.packing_rows > 0) return std::max(T, Br);
  switch (dataflow) {
    case AttentionDataflow::streaming:
    case AttentionDataflow::flat_rows:
      return Br;
    case AttentionDataflow::interleaved:
      return 2 * Br;
    case AttentionDataflow::streaming_keys:
      return kCarriedBlocks * Br;
    default:
      return T;
  }
}

AttentionCost attention_cost(AttentionDataflow dataflow, const AttentionShape& shape,
                             const AttentionCaches& caches, const kernels::Attention& kernel) {
  const double T = static_cast<double>(shape.T), d = static_cast<double>(shape.d),
               heads = static_cast<double>(shape.heads);
  AttentionCost cost{.dataflow = dataflow};
  const Counter counter(dataflow, shape, kernel);
  cost.counts = counter.counts();
  const AttentionCounts& n = cost.counts;
  cost.flops = 2 * d * heads * static_cast<double>(n.score_cells + n.value_cells);
  cost.exps = heads * static_cast<double>(n.exp_cells);
  const kernels::AttentionBytes& e = kernel.bytes;
  cost.bound_bytes = static_cast<double>(3 * e.qkv + e.o) * T * d * heads;
  const Index rows = rows_per_task(dataflow, shape.T, kernel);
  cost.scratch_bytes =
      kernel.scratch_elements(dataflow, std::min(rows, shape.T), shape.T, shape.d) *
      Index{sizeof(float)};
  const Index Br = std::min(kernel.Br, shape.T), Bc = std::min(kernel.Bc, shape.T);
  Index live = live_bytes(shape.T, shape.d, kernel);
  const auto of_scores = static_cast<double>(e.scratch);
  const auto keys = static_cast<double>(counter.most_keys());
  const double blocks = std::ceil(T / static_cast<double>(kernel.Br));
  // P of a tile that does not stay: allocated and written, read
  double scores = 3 * of_scores * static_cast<double>(n.exp_cells), between = 0;
  // Of the scratch: rows of the largest block, keys of the largest tile.
  const Index V = kernel.V, vectors = (shape.T + V - 1) / V;
  const auto n_blocks = static_cast<Index>(blocks),
             key_tiles = (shape.T + kernel.Bc - 1) / kernel.Bc;
  const Index most_rows = (vectors + n_blocks - 1) / n_blocks * V;
  Index score_words = most_rows * ((shape.T + key_tiles - 1) / key_tiles), states = 1;
  if (is_row_complete(dataflow)) {
    // S allocated and written, read; P the same, in place without a line of its own
    scores = (dataflow == AttentionDataflow::layerwise ? 6 : 5) * of_scores *
             static_cast<double>(n.exp_cells);
    const double cells = static_cast<double>(n.exp_cells);
    const double copies = dataflow == AttentionDataflow::layerwise ? 2 : 1;
    const bool by_rows = dataflow == AttentionDataflow::flat_rows;
    score_words = by_rows ? most_rows * shape.T : static_cast<Index>(copies * cells);
    if (!by_rows) states = n_blocks;
    live += e.scratch * ((by_rows ? Br * shape.T : score_words) - Br * Bc);
  } else if (dataflow == AttentionDataflow::interleaved) {
    live += (e.scratch + e.o) * Br * shape.d + e.scratch * Br * Bc;
    scores = 5 * of_scores * static_cast<double>(n.exp_cells);
    score_words *= 2;
    states = 2;
  } else if (dataflow == AttentionDataflow::streaming_keys) {
    states = std::min(n_blocks, carried_blocks(kernel));
  }
  cost.live_bytes = live;
  if (dataflow == AttentionDataflow::layerwise || dataflow == AttentionDataflow::flat_head) {
    // K and V each in a pass of its own, beside the scores of one block; Q' of all blocks
    between = keys * (static_cast<double>(e.qkv) * d + of_scores * static_cast<double>(Br)) +
              static_cast<double>(e.scratch + e.o) * static_cast<double>(Br) * d;
    scores += 2 * of_scores * T * d;
  } else {
    between = static_cast<double>(live) + 2 * static_cast<double>(e.qkv) * d * keys;
  }
  // The heads use the same scratch one after another: where it stays, it is allocated once and goes
  // back once.
  const Index state_rows = std::min(states * most_rows, vectors * V);
  const Index task = std::min(rows, shape.T);
  const double scratch =
      kernel.used_elements == nullptr
          ? of_scores * static_cast<double>(score_words + state_rows * (shape.d + 4))
          : 4.0 * static_cast<double>(kernel.used_elements(dataflow, task, shape.T, shape.d));
  const auto at = [&](Index bytes) {  // as in plan/linear
    const double Z = 0.75 * static_cast<double>(bytes);
    const double kv = static_cast<double>(e.qkv * counter.kv_elements());
    return heads * moved_bytes(cost, shape, e, kv, between, scores, blocks,
                               static_cast<double>(carried_blocks(kernel)), Z) +
           (static_cast<double>(live) <= Z ? 2 * scratch : 0);
  };
  cost.l1_bytes = at(caches.l1_bytes);
  cost.l2_bytes = at(caches.l2_bytes);
  if (live <= caches.l2_bytes * 3 / 4) cost.used_scratch_bytes = static_cast<Index>(scratch);
  cost.l3_bytes = caches.l3_bytes > 0 ? at(caches.l3_bytes) : cost.l2_bytes;
  return cost;
}

AttentionPlan plan_attention(const AttentionShape& shape, const AttentionCaches& caches,
                             const MachineRates& rates, const kernels::Attention& kernel,
                             Precision precision) {
  std::vector<AttentionCost> all;
  for (const AttentionDataflow dataflow : kDataflows) {
    AttentionCost cost = attention_cost(dataflow, shape, caches, kernel);
    const double compute = cost.flops / rates.flops[precision] + cost.exps / rates.exps;
    const bool fused =
        dataflow == AttentionDataflow::streaming || dataflow == AttentionDataflow::streaming_keys;
    const double live = static_cast<double>(cost.live_bytes);
    const double rate = live <= 0.75 * static_cast<double>(caches.l1_bytes)   ? rates.l1_bytes
                        : live <= 0.75 * static_cast<double>(caches.l2_bytes) ? rates.l2_bytes
                        : live <= 0.75 * static_cast<double>(caches.l3_bytes) ? rates.l3_bytes
                                                                              : rates.memory_bytes;
    const double scores =
        (fused ? 2.0 : 4.0) * static_cast<double>(kernel.bytes.scratch) * cost.exps / rate;
    const double l2 = cost.l2_bytes / rates.l3_bytes, l3 = cost.l3_bytes / rates.memory_bytes;
    cost.seconds = std::max(compute + scores + 0.5 * l2, l3);
    cost.limit = cost.seconds == l3   ? "L3"
                 : 0.5 * l2 > compute ? "L2"
                 : scores > compute   ? "scores"
                                      : "compute";
    all.push_back(std::move(cost));
  }
  const auto best = std::min_element(
      all.begin(), all.end(), [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  const auto chosen = std::min_element(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    const bool near_a = a.seconds <= 1.01 * best->seconds,
               near_b = b.seconds <= 1.01 * best->seconds;
    return near_a != near_b ? near_a : near_a && a.scratch_bytes < b.scratch_bytes;
  });
  AttentionPlan plan{.chosen = *chosen, .rejected = {}};
  for (auto it = all.begin(); it != all.end(); ++it) {
    if (it == chosen) continue;
    const double ratio = it->seconds / plan.chosen.seconds;
    it->why = ratio <= 1.01 ? fmt::format("as fast, {:.1f} x the scratch",
                                          static_cast<double>(it->scratch_bytes) /
                                              static_cast<double>(plan.chosen.scratch_bytes))
                            : fmt::format("{:.2f} x the time, by {}", ratio, it->limit);
    plan.rejected.push_back(*it);
  }
  std::sort(plan.rejected.begin(), plan.rejected.end(),
            [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  return plan;
}

std::string explain(const AttentionPlan& plan, const AttentionShape& shape) {
  const AttentionCost& c = plan.chosen;
  std::string text = fmt::format(
      "{} rows, {} heads of {}, {}: {}, {} tiles a head ({} under the mask), {:.2f} MB into L2 "
      "({:.2f} x bound), {} KiB scratch, {:.3f} ms by {}",
      shape.T, shape.heads, shape.d, to_string(shape.mask), to_string(c.dataflow), c.counts.tiles,
      c.counts.boundary_tiles, c.l2_bytes * 1e-6, c.l2_bytes / c.bound_bytes,
      c.scratch_bytes / 1024, c.seconds * 1e3, c.limit);
  for (const AttentionCost& other : plan.rejected)
    text += fmt::format("; {}: {}", to_string(other.dataflow), other.why);
  return text;
}

AttentionDataflow dataflow_of(Index T, Index d, const AttentionMask& mask, Index l2_bytes,
                              const kernels::Attention& kernel) noexcept {
  const Index bytes = 2 * kernel.bytes.qkv * T * d + live_bytes(T, d, kernel);
  const bool stays = bytes <= l2_bytes / 4 * 3;
  const bool on_unit = kernel.packing_rows > 0;  // two streams pay there (docs/DESIGN.md, D-85)
  if (on_unit && mask == AttentionMask{}) return AttentionDataflow::interleaved;
  return stays || mask != AttentionMask{} ? AttentionDataflow::streaming
                                          : AttentionDataflow::streaming_keys;
}

}  // namespace tessera
