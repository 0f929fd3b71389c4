// SPDX-License-Identifier: Apache-2.0
//
// A Plan is data: for every op of a Program what is to be decided, by number of rows, computed
// ahead, so that a run looks it up and chooses nothing: loop nests of linears, dataflow and layout
// of attention, blocks of patches. It is a pure function of (Program, machine, rates, options),
// prints (report.hpp), saves, loads and compares (plan_file.hpp).
//
// Plans decide speed: every loop nest gives the same bits; a dataflow rounds in its own way.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/base/version.hpp"
#include "runtime/plan/attention.hpp"
#include "runtime/plan/chain.hpp"
#include "runtime/plan/linear.hpp"
#include "runtime/plan/tile_ops.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

struct Machine;

/// Of every GEMM family of a level.
PerPrecision<TileShape> tile_shapes(const kernels::KernelTable& kernels) noexcept;

/// The nest for row counts up to and including `last_rows` (from the range before on).
struct NestRange {
  Index last_rows;
  LoopNest nest;
  bool onednn = false;  ///< oneDNN instead: only where the caller allowed it

  friend bool operator==(const NestRange&, const NestRange&) = default;
};

/// Attention of sequences of up to `last_rows` rows.
struct AttentionRange {
  Index last_rows;
  kernels::AttentionDataflow dataflow = kernels::AttentionDataflow::streaming;
  Index task_rows;  ///< most query rows of one head that one task takes

  friend bool operator==(const AttentionRange&, const AttentionRange&) = default;
};

/// What is decided for one op. Empty for ops that have nothing to decide.
struct OpSchedule {
  Chain chain;                   ///< that begins with it
  std::vector<NestRange> nests;  ///< linear: rising, the last one covers every row count
  /// Linear in a chain, on several threads: of one worker's block. Empty: `nests`.
  std::vector<NestRange> block_nests;
  std::vector<AttentionRange> attention;  ///< attention: rising, by the rows of a sequence
  /// Attention: from this longest sequence of a batch on, Q, K and V lie by heads
  /// (attention_layout.hpp); 0: never.
  Index by_heads_from = 0;
  Index patch_rows = 0;  ///< patch embedding: most rows of patches that one task gathers
  Index task_rows = 0;   ///< row-wise op, and the layer norm of a linear: rows of one task
  Index tile_ops = 0;    ///< linear: how many ops behind it run in its tiles (tile_ops.hpp)

  friend bool operator==(const OpSchedule&, const OpSchedule&) = default;
};

/// The entry for `rows` in a rising, non-empty list.
template <class Ranges>
const auto& at_rows(const Ranges& ranges, Index rows) noexcept {
  std::size_t i = 0;
  while (i + 1 < ranges.size() && ranges[i].last_rows < rows) ++i;
  return ranges[i];
}

/// Last row counts of the ranges that linears are planned for: every register tile up to 8, then steps of
/// a quarter.
std::vector<Index> row_ranges(Index most, Index MR);
/// Appends a range, or extends the last one where it is the same.
void append_range(std::vector<NestRange>& ranges, const NestRange& range);

/// Whether op `i` runs in the tiles of a linear before it.
inline bool is_in_tiles(std::span<const OpSchedule> ops, std::size_t i) noexcept {
  for (Index before = 1; before <= kMostTileOps && before <= static_cast<Index>(i); ++before) {
    if (ops[i - static_cast<std::size_t>(before)].tile_ops >= before) return true;
  }
  return false;
}

/// What a plan is valid for.
struct PlanIdentity {
  std::string version;  ///< of the library
  std::string program;  ///< fingerprint of ops and shapes
  std::string outputs;  ///< describe_outputs()
  std::string machine;  ///< CPU and caches
  std::string isa;
  int threads = 1;
  Index max_rows = 0, max_sequences = 0;

  friend bool operator==(const PlanIdentity&, const PlanIdentity&) = default;
};

struct Plan {
  PlanIdentity identity;
  std::string file;                    ///< that it was loaded from; empty: made here
  std::string rates_source;            ///< where the rates came from
  std::vector<OpSchedule> ops;         ///< one per op of the program
  bool weights_stay_in_l3 = false;     ///< between runs: then memory is asked for nothing ahead
  std::vector<std::string> fallbacks;  ///< what was not as it should be; errors when strict
};

/// What a plan is made from.
struct PlanInput {
  const Program& program;
  const Machine& machine;
  MachineRates rates;
  Isa isa;
  PerPrecision<TileShape> tile;
  int threads;
  Index max_rows, max_sequences;
  /// Instead of the best: this loop order for every linear, this dataflow for every attention, blocks of
  /// this many rows (0: op by op).
  std::optional<LoopOrder> loop_order{};
  std::optional<kernels::AttentionDataflow> attention{};
  std::optional<Index> row_blocks{};
  /// Chains of blocks of queries, in blocks of the rows that take the least memory within 5 % of the least
  /// time; `program` is by keys_first().
  bool least_memory = false;
  bool allow_onednn = false;  ///< measure it against the chosen nests
  /// As plan_memory(): known once the session is laid out, for what is said of it.
  bool holds_columns = false;
  /// Time of oneDNN over time of a nest for a shape, measured; empty: not in this build.
  std::function<double(const LinearShape&, const LoopNest&)> onednn_over_ours{};

  PlanMachine plan_machine() const;
};

/// What a plan whose rates are from `rates_source` falls back on.
std::vector<std::string> fallbacks_of(const std::string& rates_source);

/// Exhaustive per range of rows; some milliseconds.
Plan make_plan(const PlanInput& input);

/// Whether all weights of the program together stay in L3 between runs (half of it counts).
bool weights_stay_in_l3(const Program& program, const PerPrecision<TileShape>& tile,
                        const Machine& machine) noexcept;

/// What op `i`, a linear with `tile_ops` ops in its tiles, is at `rows` rows.
LinearTask linear_task(const Program& program, std::size_t i, Index tile_ops, Index rows,
                       const PerPrecision<TileShape>& tile, bool weights_stay_in_l3);

/// Whether the op computes rows in tasks of OpSchedule::task_rows.
bool is_row_wise(const Op& op) noexcept;

/// What it computes, with commas between: "embedding (embedding.mean, 384 columns)".
std::string describe_outputs(const Program& program);
/// "a3f0…": of the canonical text of the program (program/canonical.hpp).
std::string fingerprint(const Program& program);
/// CPU name and caches.
std::string machine_key(const Machine& machine);

}  // namespace tessera
