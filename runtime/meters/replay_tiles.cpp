// SPDX-License-Identifier: Apache-2.0
//
// The walk of attention with the steps of kernels/attention/tiles.inl.hpp as touches: a tile is 16 lines, one a
// row. What depends on data is taken as it is where scores stay within what the first keys were: no tile of keys
// is done again, and O is scaled once, before a row's first keys under a mask.
#include "runtime/meters/replay_tiles.hpp"

#include "kernels/attention/tiles_steps.hpp"

namespace tessera::meters {
namespace {

using kernels::AttentionDataflow;
using kernels::AttentionTask;
using kernels::column_tiles;
using kernels::count_blocks;
using kernels::count_strips;
using kernels::count_units;
using kernels::depth_tiles;
using kernels::kBlockRows;
using kernels::kChunkKeys;
using kernels::kColumnWords;
using kernels::KeyRun;
using kernels::keys_of_unit;
using kernels::KeyTile;
using kernels::kStripRows;
using kernels::kTileWords;
using kernels::kTopLanes;
using kernels::kUnitKeys;
using kernels::kUnitWords;
using kernels::Probabilities;
using kernels::round_up;
using kernels::Strip;
using kernels::TilesBlock;

class TilesTouch {
 public:
  TilesTouch(const AttentionTask& t, Touch touch) noexcept
      : t_(t), touch_(touch), at_(kernels::tiles_layout(t.dataflow, t.Tq, t.Tk, t.d)) {
    const auto [j0, j1] = kernels::packed_keys(t);
    if (j0 >= j1) return;
    pack_keys(j0, j1);
    pack_values(j0, j1);
  }

  void zero_rows(Index i0, Index i1) noexcept {
    touch_.write_rows(t_.narrow + i0 * t_.ldn, t_.ldn, i1 - i0, t_.d);
  }
  TilesBlock block_at(Index slot, Index i0, Index i1) const noexcept {
    return kernels::tiles_block_at(t_, at_, slot, i0, i1);
  }
  TilesBlock start_block(Index slot, Index i0, Index i1) noexcept {
    const TilesBlock b = block_at(slot, i0, i1);
    const Index steps = depth_tiles(t_.d);
    for (Index i = 0; i < b.rows; ++i) {
      touch_.read(halves(t_.q) + (i0 + i) * t_.ldq, t_.d);
      char* const row = b.q + i / kStripRows * steps * 2048 + i % kStripRows * 64;
      for (Index s = 0; s < steps; ++s) touch_.write(row + s * 2048, 64);
    }
    touch_.write(b.m, kBlockRows);
    touch_.write(b.sum, b.rows * kTopLanes);
    touch_.write(b.l, b.rows * kTopLanes);
    if (kernels::hides_keys(t_) || t_.Tk == 0)
      touch_.write(b.o, kBlockRows / 16 * column_tiles(t_.d) * kTileWords);
    return b;
  }

  // ---- streaming, streaming_keys

  void attend_tile(const TilesBlock& b, const KeyTile& tile) noexcept {
    probabilities(b, tile, chunk_of(b));
    settle(b, tile);
    values(b, tile, chunk_of(b));
  }
  void divide_rows(const TilesBlock& b) noexcept { finish(b); }

  // ---- row-complete

  void add_scores(const TilesBlock& b, Index slot, Index keys, const KeyTile& tile) noexcept {
    set_window(b, tile);
    for (Index n = 0; n < count_strips(b); ++n) {
      const Strip strip = kernels::strip_of(b, n, t_.d);
      const KeyRun seen = visible_units(strip, tile);
      for (Index u = 0; u < count_units(tile); ++u) {
        float* s = scores(slot, n) + (keys / kUnitKeys + u) * kBlockRows * kUnitKeys;
        if (u < seen.begin || u >= seen.end) {
          touch_.write(s, kUnitWords);
          continue;
        }
        unit_scores(strip, tile, u, s);
        start_unit(b, strip, tile, u, s, true);
        raise_top(s, strip, round_up(keys_of_unit(tile, u), 32));
      }
    }
  }
  void softmax(const TilesBlock& b, Index slot, Index keys) noexcept {
    const KeyTile all{.j0 = 0, .bc = keys, .full = true, .first = true, .last = true};
    for (Index n = 0; n < count_strips(b); ++n) {
      const Strip strip = kernels::strip_of(b, n, t_.d);
      reduce_rows(strip.sum, strip, strip.m);
      touch_.write(strip.sum, strip.rows * kTopLanes);
      for (Index u = 0; u < count_units(all); ++u) {
        exponentials(strip, all, u, scores(slot, n) + u * kBlockRows * kUnitKeys,
                     scored(slot, n, 0));
      }
      add_sums(strip);
    }
  }
  static void divide_sums(const TilesBlock&) noexcept {}
  void add_values(const TilesBlock& b, Index slot, Index keys, const KeyTile& tile) noexcept {
    values(b, tile, scored(slot, 0, keys));
  }

  // ---- interleaved

  void multiply(int, const TilesBlock& b, const KeyTile& tile) noexcept {
    probabilities(b, tile, chunk_of(b));
  }
  static void begin_exponentials(int, const TilesBlock&, const KeyTile&) noexcept {}
  static void drain() noexcept {}
  void add(int, const TilesBlock& b, const KeyTile& tile) noexcept {
    settle(b, tile);
    values(b, tile, chunk_of(b));
  }

 private:
  static const std::uint16_t* halves(const void* p) noexcept {
    return static_cast<const std::uint16_t*>(p);
  }
  KeyRun visible_units(const Strip& strip, const KeyTile& tile) const noexcept {
    return kernels::visible_units(t_, strip, tile);
  }
  const char* packed_k() const noexcept {
    return reinterpret_cast<const char*>(t_.scratch + at_.keys);
  }
  const char* packed_v() const noexcept {
    return reinterpret_cast<const char*>(t_.scratch + at_.values);
  }

  void pack_keys(Index j0, Index j1) noexcept {
    const Index steps = depth_tiles(t_.d), words = t_.d / 2;
    for (Index j = j0; j < round_up(j1, 32); j += 16) {
      float* const tiles = t_.scratch + at_.keys + j / 16 * steps * kTileWords;
      const Index from = std::min(j, j1 - 1), rows = std::min<Index>(16, j1 - from);
      for (Index k = 0; k < words; k += 4) {  // four words of 16 keys at a time
        const Index n = std::min<Index>(4, words - k);
        for (Index r = 0; r < 16; ++r) {
          touch_.read(halves(t_.k) + (from + std::min(r, rows - 1)) * t_.ldk + 2 * k, 2 * n);
        }
        touch_.write(tiles + k * 16, n * 16);
      }
      touch_.write(tiles + words * 16, (steps * 16 - words) * 16);
    }
  }
  void pack_values(Index j0, Index j1) noexcept {
    const Index columns = column_tiles(t_.d);
    for (Index j = j0; j < round_up(j1, 32); j += 2) {
      float* const row =
          t_.scratch + at_.values + (j / 32 * columns) * kTileWords + j % 32 / 2 * 16;
      for (Index n = 0; n < columns; ++n) {
        for (Index r = j; r < std::min(j + 2, j1); ++r) {
          touch_.read(halves(t_.v) + r * t_.ldv + 16 * n, std::min<Index>(16, t_.d - 16 * n));
        }
        touch_.write(row + n * kTileWords, 16);
      }
    }
  }

  Probabilities chunk_of(const TilesBlock& b) const noexcept {
    return kernels::chunk_of(t_, at_, b);
  }
  float* scores(Index slot, Index strip) const noexcept {
    return kernels::scores_of(t_, at_, slot, strip);
  }
  Probabilities scored(Index slot, Index strip, Index keys) const noexcept {
    return kernels::scored_of(t_, at_, slot, strip, keys);
  }

  /// One tile: 16 lines, `stride` bytes apart.
  void load(const void* tile, Index stride) noexcept {
    for (Index r = 0; r < 16; ++r) touch_.read(static_cast<const char*>(tile) + r * stride, 64);
  }
  void store(float* tile, Index stride) noexcept {
    for (Index r = 0; r < 16; ++r) touch_.write(reinterpret_cast<char*>(tile) + r * stride, 64);
  }

  void unit_scores(const Strip& strip, const KeyTile& tile, Index u, float* s) noexcept {
    const Index steps = depth_tiles(t_.d), j = tile.j0 + u * kUnitKeys;
    const bool two = strip.rows > 16;
    const char* k = packed_k() + j / 16 * steps * 1024;
    for (Index pair = 0; pair < count_blocks(keys_of_unit(tile, u), 32); ++pair) {
      for (Index n = 0; n < steps; ++n) {
        load(strip.q + n * 2048, 64);
        load(k + n * 1024, 64);
        load(k + (steps + n) * 1024, 64);
        if (two) load(strip.q + n * 2048 + 1024, 64);
      }
      for (Index r = 0; r < (two ? 2 : 1); ++r) {
        store(s + r * 16 * kUnitKeys, 256);
        store(s + r * 16 * kUnitKeys + 16, 256);
      }
      k += 2 * steps * 1024;
      s += 32;
    }
  }
  void set_window(const TilesBlock& b, const KeyTile& tile) noexcept {
    if (!kernels::has_start(t_, tile) || !kernels::is_by_difference(t_)) return;
    const Index first = tile.j0 - (t_.q_begin + b.i0) - (b.rows - 1), n = tile.bc + b.rows - 1;
    if (t_.bias != nullptr) touch_.read(t_.bias + first, n);
    touch_.write(t_.scratch + at_.window, n + kUnitKeys);
  }
  void start_unit(const TilesBlock& b, const Strip& strip, const KeyTile& tile, Index u, float* s,
                  bool always) noexcept {
    const Index keys = keys_of_unit(tile, u), columns = round_up(keys, 32),
                j0 = tile.j0 + u * kUnitKeys;
    const bool adds = kernels::has_start(t_, tile);
    if (!adds && keys == columns && !always) return;
    for (Index i = 0; i < strip.rows; ++i) {
      if (adds && kernels::is_by_difference(t_)) {
        touch_.read(t_.scratch + at_.window + (b.rows - 1 - (strip.i0 - b.i0 + i)) + j0 - tile.j0,
                    columns);
      } else if (adds) {
        look_up(strip.i0 + i, j0, keys);
      }
      touch_.read(s + i * kUnitKeys, columns);
      touch_.write(s + i * kUnitKeys, columns);
    }
  }
  void look_up(Index i, Index j0, Index keys) noexcept {
    if (t_.dense != nullptr) touch_.read(t_.dense + i * t_.ld_dense + j0, keys);
    if (t_.q_columns != nullptr) touch_.read(t_.q_columns + i, 1);
    if (t_.k_columns != nullptr) touch_.read(t_.k_columns + j0, keys);
    const Index q = t_.q_columns == nullptr ? t_.q_begin + i : t_.q_columns[i];
    for (Index j = 0; t_.bias != nullptr && j < keys; ++j) {
      const Index k = t_.k_columns == nullptr ? j0 + j : t_.k_columns[j0 + j];
      touch_.read(t_.bias + k - q, 1);
    }
  }
  void raise_top(const float* s, const Strip& strip, Index keys) noexcept {
    for (Index i = 0; i < strip.rows; ++i) {
      touch_.read(s + i * kUnitKeys, keys);
      touch_.write(strip.sum + i * kTopLanes, kTopLanes);
    }
  }
  void reduce_rows(const float* x, const Strip& strip, float* out) noexcept {
    touch_.read(x, strip.rows * kTopLanes);
    touch_.write(out, strip.rows);
  }
  /// UnitExponentials of all rows.
  void exponentials(const Strip& strip, const KeyTile& tile, Index u, const float* s,
                    const Probabilities& p) noexcept {
    const Index halves = count_blocks(keys_of_unit(tile, u), 32);
    for (Index i = 0; i < strip.rows; ++i) {
      touch_.read(strip.m + i, 1);
      for (Index h = 0; h < halves; ++h) {
        touch_.read(s + i * kUnitKeys + 32 * h, 32);
        touch_.write(p.at + u * p.unit + h * p.tile + i * p.row, 64);
        touch_.write(strip.sum + i * kTopLanes, kTopLanes);
      }
    }
  }
  void add_sums(const Strip& strip) noexcept {
    for (Index i = 0; i < strip.rows; ++i) {
      touch_.read(strip.sum + i * kTopLanes, kTopLanes);
      touch_.write(strip.l + i * kTopLanes, kTopLanes);
    }
  }

  void probabilities(const TilesBlock& b, const KeyTile& tile, Probabilities p) noexcept {
    set_window(b, tile);
    for (Index n = 0; !tile.full && n < count_strips(b); ++n) {
      const Probabilities of_strip = kernels::strip_of_chunk(p, n);
      online_softmax(b, kernels::strip_of(b, n, t_.d), tile, of_strip);
    }
    if (!tile.full) return;
    touch_.write(b.sum, b.rows * kTopLanes);
    float *s = t_.scratch + at_.S, *next = s + kUnitWords;
    for (Index u = 0; u < count_units(tile); ++u) {
      for (Index n = 0; n < count_strips(b); ++n) {
        const Strip strip = kernels::strip_of(b, n, t_.d);
        unit_scores(strip, tile, u, s);
        start_unit(b, strip, tile, u, s, false);
        if (tile.first && u == 0) {
          raise_top(s, strip, 16);
          reduce_rows(strip.sum, strip, strip.m);
        }
        const Probabilities of_strip = kernels::strip_of_chunk(p, n);
        exponentials(strip, tile, u, s, of_strip);
        std::swap(s, next);
      }
    }
  }
  void online_softmax(const TilesBlock& b, const Strip& strip, const KeyTile& tile,
                      const Probabilities& p) noexcept {
    touch_.write(strip.sum, strip.rows * kTopLanes);
    float* const chunk = t_.scratch + at_.chunk;
    const KeyRun units = visible_units(strip, tile);
    for (Index u = units.begin; u < units.end; ++u) {
      float* const s = chunk + u * kUnitWords;
      unit_scores(strip, tile, u, s);
      start_unit(b, strip, tile, u, s, false);
      raise_top(s, strip, round_up(keys_of_unit(tile, u), 32));
    }
    reduce_rows(strip.sum, strip, strip.alpha);
    touch_.write(strip.m, strip.rows);
    if (tile.first) {
      touch_.write(strip.l, strip.rows * kTopLanes);
      for (Index i = 0; i < strip.rows; ++i) {
        for (Index n = 0; n < column_tiles(t_.d); ++n)
          touch_.write(strip.o + n * kColumnWords + i / 16 * kTileWords + i % 16 * 16, 16);
      }
    }
    for (Index u = units.begin; u < units.end; ++u)
      exponentials(strip, tile, u, chunk + u * kUnitWords, p);
    add_sums(strip);
  }
  void settle(const TilesBlock& b, const KeyTile& tile) noexcept {
    for (Index n = 0; tile.full && n < count_strips(b); ++n)
      add_sums(kernels::strip_of(b, n, t_.d));
  }

  void values(const TilesBlock& b, const KeyTile& tile, const Probabilities& p) noexcept {
    for (Index n = 0; n < count_strips(b); ++n) {
      const Probabilities of_strip = kernels::strip_of_chunk(p, n);
      strip_values(kernels::strip_of(b, n, t_.d), tile, of_strip,
                   tile.first && !kernels::hides_keys(t_));
    }
    if (tile.last) finish(b);
  }
  void strip_values(const Strip& strip, const KeyTile& tile, Probabilities p, bool zero) noexcept {
    const KeyRun units = visible_units(strip, tile);
    if (units.begin >= units.end) return;
    const Index columns = column_tiles(t_.d), first = tile.j0 / 32 + 2 * units.begin;
    const Index last = std::min(tile.bc, units.end * kUnitKeys);
    const Index tiles = count_blocks(last - units.begin * kUnitKeys, 32);
    const Index R = strip.rows > 16 ? 2 : 1;
    p.at += units.begin * p.unit;
    for (Index n = 0; n < columns; n += 2) {
      const Index C = std::min<Index>(2, columns - n);
      float* const o = strip.o + n * kColumnWords;
      const auto each = [&](auto&& body) {
        for (Index c = 0; c < C; ++c) {
          for (Index r = 0; r < R; ++r) body(o + c * kColumnWords + r * kTileWords);
        }
      };
      if (!zero) each([&](const float* tile_of_o) { load(tile_of_o, 64); });
      const char* v = packed_v() + (first * columns + n) * 1024;
      const char* a = p.at;
      for (Index t = 0, step = p.tile; t < tiles; ++t, step = p.unit - step) {
        load(a, p.row);
        for (Index c = 0; c < C; ++c) load(v + c * 1024, 64);
        if (R == 2) load(a + 16 * p.row, p.row);
        v += columns * 1024;
        a += step;
      }
      each([&](float* tile_of_o) { store(tile_of_o, 64); });
    }
  }
  void finish(const TilesBlock& b) noexcept {
    for (Index n = 0; n < count_strips(b); ++n) {
      const Strip strip = kernels::strip_of(b, n, t_.d);
      reduce_rows(strip.l, strip, strip.alpha);
      for (Index i = 0; i < strip.rows; ++i) {
        touch_.read(strip.alpha + i, 1);
        for (Index c = 0; c < t_.d; c += 16) {
          touch_.read(strip.o + c / 16 * kColumnWords + i / 16 * kTileWords + i % 16 * 16,
                      std::min<Index>(16, t_.d - c));
        }
        touch_.write(t_.narrow + (strip.i0 + i) * t_.ldn, t_.d);
      }
    }
  }

  const AttentionTask& t_;
  Touch touch_;
  kernels::TilesLayout at_;
};

}  // namespace

void touch_tiles_attention(const AttentionTask& task, Touch touch) noexcept {
  TilesTouch visitor(task, touch);
  kernels::walk_tiles_task(task, visitor);
}

}  // namespace tessera::meters
