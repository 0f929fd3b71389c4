// SPDX-License-Identifier: Apache-2.0
// What a session is before anything is allocated: options resolved, plan made, arena laid out.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/execute/onednn_weights.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/plan_file.hpp"
#include "runtime/program/keys_first.hpp"
#include "runtime/program/rewrites.hpp"
#include "runtime/session/parts.hpp"

namespace tessera {
namespace {

std::size_t round_up(std::size_t bytes) {
  return (bytes + 127) / 128 * 128;
}

bool has_long_rotations(const Program& program) {
  return std::any_of(program.rotations.begin(), program.rotations.end(),
                     [](const Rotation& rotation) { return rotation.limit > 0; });
}

}  // namespace

SessionOptions resolve(SessionOptions options, Isa isa) {
  const auto require = [](bool condition, const char* name, Index got, const char* expected) {
    if (condition) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("session: {} is {}, expected {}", name, got, expected));
  };
  constexpr Index kMost = std::numeric_limits<std::int32_t>::max();
  require(options.max_rows >= 1 && options.max_rows <= kMost, "max_rows", options.max_rows,
          "1 to 2147483647");
  require(options.max_sequences >= 1 && options.max_sequences <= options.max_rows, "max_sequences",
          options.max_sequences, "1 to max_rows");
  require(options.threads >= 0 && options.threads <= 1024, "threads", options.threads,
          "1 to 1024, or 0 for all that this process may use");
  require(!options.row_blocks || (*options.row_blocks >= 0 && *options.row_blocks <= kMost),
          "row_blocks", options.row_blocks.value_or(0), "1 to 2147483647, or 0 for op by op");
  if (options.threads == 0) options.threads = default_thread_count();
  if (!options.rates) options.rates = resolve_rates(machine(), isa);
  const MachineRates& r = *options.rates;
  for (const double rate :
       {r.flops[Precision::f32], r.l1_bytes, r.l2_bytes, r.l3_bytes, r.memory_bytes, r.exps}) {
    if (rate > 0 && std::isfinite(rate)) continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("session: a machine rate is {}, expected a positive number", rate));
  }
  return options;
}

namespace {

/// What a linear reads behind the last row of its input: rows that a unit takes because it takes several.
std::size_t bytes_read_beyond(const Program& program, const kernels::KernelTable& kernels) {
  std::size_t most = 0;
  const auto reads = [&](ValueId id, ParameterId weight) {
    const Value& in = program.values[at(id)];
    const kernels::Gemm& gemm = kernels.gemm[program.parameters[at(weight)].precision];
    const Index bytes =
        (gemm.rows_read - 1) * activation_stride(in.width, in.type) * size_of(in.type);
    most = std::max(most, static_cast<std::size_t>(bytes));
  };
  for (const Op& op : program.ops) {
    if (const auto* linear = std::get_if<LinearOp>(&op)) reads(linear->in, linear->weight);
    if (const auto* pooled = std::get_if<PooledLinearOp>(&op)) reads(pooled->in, pooled->weight);
    const auto* attention = std::get_if<AttentionOp>(&op);
    const auto* terms =
        attention == nullptr ? nullptr : std::get_if<Disentangled>(&attention->position);
    if (terms == nullptr) continue;
    if (terms->key != kNone) reads(attention->q.value, terms->key);
    if (terms->query != kNone) reads(attention->k.value, terms->query);
  }
  return most;
}

SessionLayout lay_out_with(bool holds_columns, const Program& program,
                           const SessionOptions& options, std::span<const OpSchedule> schedule,
                           const kernels::KernelTable& kernels) {
  SessionLayout layout{.values = plan_memory(program, options.max_rows, options.max_sequences,
                                             schedule, holds_columns),
                       .holds_columns = holds_columns};
  layout.scratch_stride =
      execute::scratch_elements(program, schedule, kernels, options.max_rows, options.max_sequences,
                                options.threads, holds_columns);
  const auto sequences = static_cast<std::size_t>(options.max_sequences);
  std::size_t end = round_up(layout.values.bytes);
  const auto reserve = [&](std::size_t bytes) { return std::exchange(end, end + round_up(bytes)); };
  layout.scratch =
      reserve(static_cast<std::size_t>(layout.scratch_stride * options.threads) * sizeof(float));
  layout.positions = reserve(static_cast<std::size_t>(options.max_rows) * sizeof(std::int32_t));
  if (has_long_rotations(program)) {
    layout.lengths = reserve(static_cast<std::size_t>(options.max_rows) * sizeof(std::int32_t));
  }
  const std::vector<Extents> most_of =
      most_extents(program.spaces, options.max_rows, options.max_sequences);
  Index pieces = options.max_sequences;
  for (const Extents& most : most_of) pieces = std::max(pieces, most.pieces);
  layout.block_begin = reserve(static_cast<std::size_t>(pieces + 1) * sizeof(std::int32_t));
  layout.offsets = reserve((sequences + 1) * sizeof(std::int32_t));
  for (const Extents& most : most_of) {
    const auto id = static_cast<SpaceId>(layout.cuts.size());
    const auto count = static_cast<std::size_t>(most.pieces);
    SessionLayout::SpaceCuts cuts{.pieces = most.pieces};
    if (id != kTokens) cuts.offset = reserve((count + 1) * sizeof(std::int32_t));
    if (has_maps(program.spaces, id)) cuts.grids = reserve(count * sizeof(Grid));
    if (program.spaces[at(id)].rule == RowRule::grid_windows) {
      cuts.places = reserve(count * sizeof(WindowPlace));
    }
    layout.cuts.push_back(cuts);
  }
  // Of all grids of a run, too: each is that of an image at least, and an image of any size may be all.
  layout.rotations.rows = longest_sequence(program, options.max_rows);
  for (const Rotation& rotation : program.rotations) {
    const auto row = 2 * rotation.frequencies.size() * sizeof(float);
    layout.rotations.tables.push_back(
        reserve(row * static_cast<std::size_t>(layout.rotations.rows)));
    if (rotation.on_grid) layout.rotations.most_places = sequences;
  }
  layout.rotations.places = reserve(layout.rotations.most_places * sizeof(Rotations::Place));
  const std::size_t beyond = bytes_read_beyond(program, kernels);
  Index rows = 0;
  for (const OpSchedule& op : schedule) rows = std::max(rows, op.chain.block_rows);
  if (rows > 0) {  // a chain may have no value of its own
    const auto workers = static_cast<std::size_t>(options.threads);
    layout.block_stride = round_up(layout.values.block_bytes + beyond);
    layout.blocks = reserve(layout.block_stride * workers);
    layout.block_sequences = std::min(sequences, static_cast<std::size_t>(rows)) + 1;
    layout.block_integers = reserve(2 * layout.block_sequences * workers * sizeof(std::int32_t));
  }
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    const Chain& chain = schedule[i].chain;
    if (!attention_of_queries(program, {i, static_cast<std::size_t>(chain.ops)})) continue;
    // Two blocks that follow each other have more rows than a share.
    const Index shares = ceil_div(options.max_rows, chain.block_rows) + options.threads;
    layout.most_query_blocks =
        std::max(layout.most_query_blocks, static_cast<std::size_t>(2 * shares + 2));
  }
  layout.query_blocks = reserve(layout.most_query_blocks * sizeof(std::int32_t));
  layout.bytes = end + round_up(beyond);
  return layout;
}

bool pools_the_largest(const Op& op) {
  const auto* pooled = std::get_if<PooledLinearOp>(&op);
  return pooled != nullptr && pooled->top > 0;
}

}  // namespace

SessionLayout lay_out(const Program& program, const SessionOptions& options,
                      std::span<const OpSchedule> schedule, const kernels::KernelTable& kernels) {
  SessionLayout heaps = lay_out_with(false, program, options, schedule, kernels);
  if (std::none_of(program.ops.begin(), program.ops.end(), pools_the_largest)) return heaps;
  SessionLayout held = lay_out_with(true, program, options, schedule, kernels);
  return held.bytes < heaps.bytes ? held : heaps;
}

Program session_program(const Program& program, Isa isa, const SessionOptions& options) {
  Program kept = options.outputs.empty()
                     ? program
                     : keep_outputs(program, options.outputs, KeepParameters::all);
  if (!options.least_memory.value_or(false)) return kept;
  const kernels::KernelTable& kernels = kernels::kernels_at(isa);
  return keys_first(kept, [&](Precision precision) { return kernels.gemm[precision].NR; });
}

SessionOptions with_memory_choice(SessionOptions options, const Program& program, Isa isa,
                                  std::size_t weights) {
  if (options.least_memory) return options;
  const auto with = [&](bool least) {
    SessionOptions other = options;
    other.least_memory = least;
    return other;
  };
  if (options.plan != nullptr) {
    const auto is_of = [&](bool least) {
      return options.plan->identity.program ==
             fingerprint(session_program(program, isa, with(least)));
    };
    return with(!is_of(false) && is_of(true));
  }
  if (options.memory_cap_bytes == 0) return with(false);
  const auto bytes = [&](bool least) {
    SessionOptions trial = with(least);
    trial.strict = false;
    return arena_bytes(program, isa, trial);
  };
  const std::size_t usual = bytes(false);
  return with(weights + usual > options.memory_cap_bytes && bytes(true) < usual);
}

std::size_t arena_bytes(const Program& program, Isa isa, const SessionOptions& options) {
  const Program kept = session_program(program, isa, options);
  return arena_bytes(kept, *plan_of(kept, isa, options), isa, options);
}

std::size_t arena_bytes(const Program& kept, const Plan& plan, Isa isa,
                        const SessionOptions& options) {
  const std::size_t copies = options.allow_onednn ? execute::OneDnnWeights::most_bytes(kept) : 0;
  return lay_out(kept, options, plan.ops, kernels::kernels_at(isa)).bytes + copies;
}

PlanInput plan_input(const Program& program, Isa isa, const SessionOptions& options) {
  return {.program = program,
          .machine = machine(),
          .rates = *options.rates,
          .isa = isa,
          .tile = tile_shapes(kernels::kernels_at(isa)),
          .threads = options.threads,
          .max_rows = options.max_rows,
          .max_sequences = options.max_sequences,
          .loop_order = options.loop_order,
          .attention = options.attention,
          .row_blocks = options.row_blocks,
          .least_memory = options.least_memory.value_or(false),
          .allow_onednn = options.allow_onednn,
          .onednn_over_ours = options.allow_onednn  // who does not allow it does not load it
                                  ? execute::onednn_measurement(kernels::kernels_at(isa))
                                  : nullptr};
}

std::shared_ptr<const Plan> plan_of(const Program& program, Isa isa,
                                    const SessionOptions& options) {
  std::shared_ptr<const Plan> plan = options.plan;
  if (plan != nullptr) {
    if (options.loop_order || options.attention || options.row_blocks) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("session: {} is given beside a saved plan, expected one of the two",
                              options.loop_order  ? "loop_order"
                              : options.attention ? "attention"
                                                  : "row_blocks"));
    }
    check_plan(*plan, plan_input(program, isa, options));
  } else {
    plan = std::make_shared<const Plan>(make_plan(plan_input(program, isa, options)));
  }
  if (options.strict && !plan->fallbacks.empty()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("session: strict, but {}", fmt::join(plan->fallbacks, "; ")));
  }
  return plan;
}

}  // namespace tessera
