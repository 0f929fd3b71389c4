// SPDX-License-Identifier: Apache-2.0
// Whether a plan may run here, and where two plans differ.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/attention_layout.hpp"
#include "runtime/plan/plan_file.hpp"

namespace tessera {
namespace {

[[noreturn]] void refuse(const Plan& plan, const std::string& what) {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("plan{}{}: {}", plan.file.empty() ? "" : " ", plan.file, what));
}

/// A text of a file as a message carries it.
std::string shown(const std::string& text) {
  return detail::plain_or_quoted(text);
}
template <class T>
const T& shown(const T& value) {
  return value;
}

template <class T>
void require_same(const Plan& plan, const char* what, const T& its, const T& here) {
  if (its == here) return;
  refuse(plan, fmt::format("was made for {} {}, expected {}", what, shown(its), shown(here)));
}

/// Says so if a plan is of another part of a model: what is computed depends on what is asked for.
void require_same_outputs(const Plan& plan, const Program& program) {
  require_same(plan, "outputs", plan.identity.outputs, describe_outputs(program));
}

template <class Fail>
void check_attention(const PlanInput& in, Index most, std::size_t i, const OpSchedule& schedule,
                     const Fail& fail) {
  const auto* op = std::get_if<AttentionOp>(&in.program.ops[i]);
  if (op == nullptr) {
    if (!schedule.attention.empty() || schedule.by_heads_from != 0)
      fail("is no attention, expected no dataflow");
    return;
  }
  if (schedule.attention.empty()) fail("has no dataflow, expected at least one");
  most = most_keys(in.program, *op, most);
  if (schedule.attention.back().last_rows < most) {
    fail(fmt::format("its last dataflow is for up to {} rows, expected {}",
                     schedule.attention.back().last_rows, most));
  }
  const Index Br = kernels::kernels_at(in.isa).attention[op->precision].Br;
  for (const AttentionRange& range : schedule.attention) {
    const bool is_whole =
        range.task_rows % Br == 0 || range.task_rows >= std::min(range.last_rows, most);
    if (range.task_rows >= Br && is_whole) continue;
    fail(fmt::format(
        "task_rows is {}, expected a multiple of {}, a block of the kernel, or all rows",
        range.task_rows, Br));
  }
  if (schedule.by_heads_from != 0 && head_dim_of(in.program, op->q.value, in.tile) == 0) {
    fail(fmt::format("by_heads_from is {}, expected 0: its QKV cannot lie by heads",
                     schedule.by_heads_from));
  }
}

template <class Fail>
void check_nests(const PlanInput& in, const LinearTask& task, const std::vector<NestRange>& nests,
                 const Fail& fail) {
  const TileShape& tile = in.tile[task.precision];
  const Index panels = ceil_div(ceil_div(task.shape.N, tile.NR), task.group);
  for (const auto& [last, nest, onednn] : nests) {
    if (nest.row_blocks > kMostBlocks / nest.col_blocks) {
      fail(fmt::format("has {} x {} blocks, expected fewer than 2^31", nest.row_blocks,
                       nest.col_blocks));
    }
    if (onednn && task.residual) {
      fail("wants oneDNN where C is the residual's memory, expected a nest of ours");
    }
    if (onednn && !(in.allow_onednn && in.onednn_over_ours)) {
      fail(in.allow_onednn
               ? "wants oneDNN, whose plugin cannot be loaded, expected a nest of ours"
               : "wants oneDNN, which the session does not allow, expected a nest of ours");
    }
    if (nest.col_blocks > panels) {
      fail(fmt::format("col_blocks is {}, expected at most {}", nest.col_blocks, panels));
    }
    if (nest.row_blocks > last) {
      fail(fmt::format("row_blocks is {}, expected at most {}", nest.row_blocks, last));
    }
    const Index most_k_blocks = !splits_k(task, nest.order) ? 1 : ceil_div(task.shape.K, tile.KR);
    if (nest.k_blocks > most_k_blocks) {
      fail(fmt::format("k_blocks is {}, expected at most {}", nest.k_blocks, most_k_blocks));
    }
  }
}

template <class Fail>
void check_pooled(const PlanInput& in, const PooledLinearOp& op, Index max_rows,
                  Index max_sequences, const OpSchedule& schedule, const Fail& fail) {
  if (schedule.nests.empty()) fail("has no nests, expected at least one");
  if (!schedule.block_nests.empty()) fail("has nests of a chain, expected none: it is pooled");
  const Parameter& weight = in.program.parameters[at(op.weight)];
  const Index most = most_rows(in.program, op.in, max_rows, max_sequences);
  if (schedule.nests.back().last_rows < most) {
    fail(fmt::format("its last range is for up to {} rows, expected {}",
                     schedule.nests.back().last_rows, most));
  }
  check_nests(in,
              {.shape = {.M = most, .N = weight.rows, .K = weight.cols},
               .residual = true,  // K stays whole, and no oneDNN
               .precision = weight.precision},
              schedule.nests, fail);
  for (const NestRange& range : schedule.nests) {
    if (range.nest.order == LoopOrder::ws_os_a) continue;
    fail(fmt::format("its order is {}, expected ws_os_a: it is pooled",
                     option_name(range.nest.order)));
  }
}

std::string name_at(const Program& program, std::size_t i) {
  return program.values[at(output_of(program.ops[i]))].name;
}

/// Before anything else that goes from op to op.
void check_tile_ops(const Plan& plan, const PlanInput& in, std::size_t i) {
  const Index ops = plan.ops[i].tile_ops, most = tile_ops_behind(in.program, i, in.tile);
  if (ops == 0 || ops == most) return;
  refuse(plan, fmt::format("op {} ({}): tile_ops is {}, expected {}", i, name_at(in.program, i),
                           ops, most == 0 ? "0" : fmt::format("0 or {}", most)));
}

/// What the executor relies on.
void check_schedule(const Plan& plan, const PlanInput& in, std::size_t i) {
  const OpSchedule& schedule = plan.ops[i];
  const auto* op = std::get_if<LinearOp>(&in.program.ops[i]);
  const auto fail = [&](const std::string& what) {
    refuse(plan, fmt::format(
                     "op {} ({}): {}", i,
                     in.program.values[static_cast<std::size_t>(output_of(in.program.ops[i]))].name,
                     what));
  };
  // Ranges are those of the file's own promise, of which a session may use a part.
  const Index max_rows = std::max(in.max_rows, plan.identity.max_rows),
              max_sequences = std::max(in.max_sequences, plan.identity.max_sequences);
  check_attention(in, max_rows, i, schedule, fail);
  if (std::holds_alternative<PatchEmbedOp>(in.program.ops[i]) != (schedule.patch_rows > 0)) {
    fail(schedule.patch_rows > 0 ? "has patch_rows, expected none: it is no patch embedding"
                                 : "has no patch_rows, expected 1 or more");
  }
  if (schedule.patch_rows > max_rows) {
    fail(fmt::format("patch_rows is {}, expected at most {}", schedule.patch_rows, max_rows));
  }
  const bool has_task_rows = is_row_wise(in.program.ops[i]) || (op != nullptr && op->norm);
  if (has_task_rows != (schedule.task_rows > 0)) {
    fail(has_task_rows ? "has no task_rows, expected 1 or more"
                       : "has task_rows, expected none: it is not computed row by row");
  }
  if (schedule.chain.begins()) {
    if (const std::string why = why_no_chain(in.program, plan.ops, i, in.max_rows); !why.empty())
      fail(why);
  }
  if (const auto* pooled = std::get_if<PooledLinearOp>(&in.program.ops[i])) {
    return check_pooled(in, *pooled, max_rows, max_sequences, schedule, fail);
  }
  if (op == nullptr) {
    if (!schedule.nests.empty() || !schedule.block_nests.empty())
      fail("is no linear, expected no nests");
    return;
  }
  if (schedule.nests.empty()) fail("has no nests, expected at least one");
  const LinearTask task = linear_task(in.program, i, schedule.tile_ops, max_rows, in.tile, false);
  const Index most = most_rows(in.program, op->out, max_rows, max_sequences);
  if (schedule.nests.back().last_rows < most) {
    fail(fmt::format("its last range is for up to {} rows, expected {}",
                     schedule.nests.back().last_rows, most));
  }
  check_nests(in, task, schedule.nests, fail);
  check_nests(in, task, schedule.block_nests, fail);
  for (const NestRange& range : schedule.nests) {
    if (!range.onednn) continue;
    if (op->first_row) fail("wants oneDNN for a part of a weight, expected a nest of ours");
    if (schedule.tile_ops > 0)
      fail("wants oneDNN where ops run in its tiles, expected a nest of ours");
  }
}

std::string describe_range(const std::vector<NestRange>& nests, Index rows) {
  const auto& [last, nest, onednn] = at_rows(nests, rows);
  if (onednn) return "oneDNN";
  return fmt::format("{} in {} row, {} column, {} K blocks", to_string(nest.order), nest.row_blocks,
                     nest.col_blocks, nest.k_blocks);
}

/// "never", or "7 ops from 427 rows on in blocks of 128"
std::string describe_chain(const Chain& chain) {
  if (!chain.begins()) return "never";
  return fmt::format("{} ops from {} rows on in blocks of {}", chain.ops, chain.from_rows,
                     chain.block_rows);
}

/// "streaming up to 2432 rows, streaming_keys up to 4096; by heads from 1024"
std::string describe_attention(const OpSchedule& op) {
  std::string text;
  for (const auto& [last, dataflow, rows] : op.attention) {
    text += fmt::format("{}{} up to {} rows ({} a task)", text.empty() ? "" : ", ",
                        to_string(dataflow), last, rows);
  }
  if (op.by_heads_from != 0) text += fmt::format("; by heads from {}", op.by_heads_from);
  return text;
}

/// The row counts from which the nests differ.
std::string diff_nests(const std::string& name, const std::vector<NestRange>& before,
                       const std::vector<NestRange>& after) {
  std::string text;
  std::set<Index> ends;  // row counts at which either plan changes
  for (const auto* ranges : {&before, &after}) {
    for (const NestRange& range : *ranges) ends.insert(range.last_rows);
  }
  Index first = 1;
  for (const Index last : ends) {
    const std::string was = describe_range(before, last), is = describe_range(after, last);
    if (was != is) text += fmt::format("{} rows {} to {}: {} -> {}\n", name, first, last, was, is);
    first = last + 1;
  }
  return text;
}

}  // namespace

void check_plan(const Plan& plan, const PlanInput& input) {
  const PlanIdentity& id = plan.identity;
  require_same<std::string>(plan, "version", id.version, library_version());
  if (id.program != fingerprint(input.program)) require_same_outputs(plan, input.program);
  require_same<std::string>(plan, "model", id.program, fingerprint(input.program));
  require_same<std::string>(plan, "machine", id.machine, machine_key(input.machine));
  require_same<std::string>(plan, "ISA", id.isa, to_string(input.isa));
  require_same(plan, "threads", id.threads, input.threads);
  if (id.max_rows < input.max_rows || id.max_sequences < input.max_sequences) {
    refuse(plan,
           fmt::format("was made for up to {} rows and {} sequences, expected at least {} and {}",
                       id.max_rows, id.max_sequences, input.max_rows, input.max_sequences));
  }
  if (plan.ops.size() != input.program.ops.size()) {
    refuse(plan, fmt::format("has {} ops, expected {}", plan.ops.size(), input.program.ops.size()));
  }
  for (std::size_t i = 0; i < plan.ops.size(); ++i) check_tile_ops(plan, input, i);
  for (std::size_t i = 0; i < plan.ops.size(); ++i) check_schedule(plan, input, i);
}

std::string diff_plans(const Plan& before, const Plan& after, const Program& program) {
  const PlanIdentity &was = before.identity, &is = after.identity;
  if (was.program != is.program) {
    require_same_outputs(before, program);
    refuse(
        before,
        fmt::format("was made for model {}, expected {} (another model, or --row-blocks least on "
                    "one side alone)",
                    shown(was.program), shown(is.program)));
  }
  for (const Plan* plan : {&before, &after}) {
    if (plan->ops.size() == program.ops.size()) continue;
    refuse(*plan, fmt::format("has {} ops, expected {}", plan->ops.size(), program.ops.size()));
  }
  std::string text;
  const auto field = [&](const char* name, const auto& a, const auto& b) {
    if (!(a == b)) text += fmt::format("{}: {} -> {}\n", name, shown(a), shown(b));
  };
  field("version", was.version, is.version);
  field("machine", was.machine, is.machine);
  field("isa", was.isa, is.isa);
  field("threads", was.threads, is.threads);
  field("most rows", was.max_rows, is.max_rows);
  field("most sequences", was.max_sequences, is.max_sequences);
  field("weights stay in L3", before.weights_stay_in_l3, after.weights_stay_in_l3);
  for (std::size_t i = 0; i < before.ops.size(); ++i) {
    const OpSchedule &a = before.ops[i], &b = after.ops[i];
    if (a.nests.empty() != b.nests.empty() || a.attention.empty() != b.attention.empty()) {
      refuse(before, fmt::format("op {} ({}): has {} nests and {} dataflows, expected {} and {}", i,
                                 program.values[at(output_of(program.ops[i]))].name, a.nests.size(),
                                 a.attention.size(), b.nests.size(), b.attention.size()));
    }
    if (a.attention != b.attention || a.by_heads_from != b.by_heads_from) {
      text += fmt::format("{}: {} -> {}\n", program.values[at(output_of(program.ops[i]))].name,
                          describe_attention(a), describe_attention(b));
    }
    if (a.patch_rows != b.patch_rows) {
      text += fmt::format("{}: {} -> {} rows of patches at a time\n",
                          program.values[at(output_of(program.ops[i]))].name, a.patch_rows,
                          b.patch_rows);
    }
    if (a.task_rows != b.task_rows) {
      text +=
          fmt::format("{}: {} -> {} rows of a task\n",
                      program.values[at(output_of(program.ops[i]))].name, a.task_rows, b.task_rows);
    }
    const std::string& name = program.values[at(output_of(program.ops[i]))].name;
    if (a.tile_ops != b.tile_ops) {
      text += fmt::format("{}: {} -> {} ops in its tiles\n", name, a.tile_ops, b.tile_ops);
    }
    if (a.chain != b.chain) {
      text += fmt::format("{} begins a chain: {} -> {}\n", name, describe_chain(a.chain),
                          describe_chain(b.chain));
    }
    text += diff_nests(name, a.nests, b.nests);
    if (a.block_nests.empty() != b.block_nests.empty()) {
      text += fmt::format("{} {} nests of its own in blocks of a chain\n", name,
                          a.block_nests.empty() ? "gets" : "loses");
    } else {
      text += diff_nests(name + " in blocks of a chain,", a.block_nests, b.block_nests);
    }
  }
  if (text.empty()) text = "no differences\n";
  return text;
}

}  // namespace tessera
