// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/plan_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <set>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/json.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/base/replaced_file.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/attention_layout.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kFormat = 5;
constexpr std::uintmax_t kMaxFileBytes = std::uintmax_t{64} << 20;
constexpr Index kMostBlocks = (Index{1} << 31) - 1;

std::string json_of(const std::vector<NestRange>& nests) {
  std::string text;
  for (const auto& [last, nest, onednn] : nests) {
    text += fmt::format(
        R"({}{{"last_rows":{},"order":"{}","row_blocks":{},"col_blocks":{},"k_blocks":{},"onednn":{}}})",
        text.empty() ? "" : ",", last, to_string(nest.order), nest.row_blocks, nest.col_blocks,
        nest.k_blocks, onednn);
  }
  return "[" + text + "]";
}

std::string json_of(const OpSchedule& op) {
  std::string attention;
  for (const auto& [last, dataflow, rows] : op.attention) {
    attention += fmt::format(R"({}{{"last_rows":{},"dataflow":"{}","task_rows":{}}})",
                             attention.empty() ? "" : ",", last, to_string(dataflow), rows);
  }
  std::string text = fmt::format(R"({{"nests":{})", json_of(op.nests));
  if (op.chain.begins()) {
    text += fmt::format(R"(,"chain":{{"ops":{},"from_rows":{},"block_rows":{}}})", op.chain.ops,
                        op.chain.from_rows, op.chain.block_rows);
  }
  if (!op.block_nests.empty()) text += R"(,"block_nests":)" + json_of(op.block_nests);
  if (!op.attention.empty()) {
    text += fmt::format(R"(,"attention":[{}],"by_heads_from":{})", attention, op.by_heads_from);
  }
  if (op.patch_rows != 0) text += fmt::format(R"(,"patch_rows":{})", op.patch_rows);
  if (op.task_rows != 0) text += fmt::format(R"(,"task_rows":{})", op.task_rows);
  return text + "}";
}

class Reader {
 public:
  explicit Reader(std::string where) : where_(std::move(where)) {}

  /// What a program does not know it would not run: every key is one of `names`, once.
  void require_known(json::Value element, std::initializer_list<std::string_view> names) const {
    json::Object object;
    if (!element.get(object)) {
      fail(fmt::format("{}, expected an object", detail::shortened(element)));
    }
    std::set<std::string_view> seen;
    for (const auto& [key, value] : object) {
      if (std::find(names.begin(), names.end(), key) == names.end()) {
        fail(fmt::format("has {}, expected one of {}", detail::in_quotes(key),
                         fmt::join(names, ", ")));
      }
      if (!seen.insert(key).second) {
        fail(fmt::format("has {} twice, expected it once", detail::in_quotes(key)));
      }
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::corrupt_file, fmt::format("plan {}: {}", where_, what));
  }

  template <class T>
  T get(json::Value object, const char* name, const char* expected) const {
    const std::optional<json::Value> value = find(object, name);
    if (!value) {
      fail(fmt::format("has no \"{}\", expected {}", name, expected));
    }
    T result{};
    if (!value->get(result)) {
      fail(fmt::format("{} is {}, expected {}", name, detail::shortened(*value), expected));
    }
    return result;
  }

  Index count(json::Value object, const char* name, Index least) const {
    const auto n = get<std::int64_t>(object, name, "an integer");
    if (n < least || n > kMostBlocks) {
      fail(fmt::format("{} is {}, expected {} to {}", name, n, least, kMostBlocks));
    }
    return n;
  }

  std::string text(json::Value object, const char* name) const {
    return std::string(get<std::string_view>(object, name, "a string"));
  }

  LoopOrder order(json::Value object) const {
    const auto name = get<std::string_view>(object, "order", "a loop order");
    for (const LoopOrder order : kLoopOrders) {
      if (name == to_string(order)) return order;
    }
    fail(fmt::format("order is {}, expected IS-OS(a), IS-OS(b), WS-OS(a), WS-OS(b) or 2-D OS",
                     detail::in_quotes(name)));
  }

  kernels::AttentionDataflow dataflow(json::Value object) const {
    const auto name = get<std::string_view>(object, "dataflow", "a dataflow of attention");
    std::string known;
    for (const kernels::AttentionDataflow dataflow : kAllDataflows) {
      if (name == to_string(dataflow)) return dataflow;
      known += (known.empty() ? "" : ", ") + std::string(to_string(dataflow));
    }
    fail(fmt::format("dataflow is {}, expected one of {}", detail::in_quotes(name), known));
  }

  static std::optional<json::Value> find(json::Value value, const char* name) {
    json::Object object;
    return value.get(object) ? object.find(name) : std::nullopt;
  }

  bool has(json::Value object, const char* name) const { return find(object, name).has_value(); }

  std::vector<NestRange> nests(json::Value object, const char* name) const {
    std::vector<NestRange> ranges;
    for (const json::Value e : get<json::Array>(object, name, "an array")) {
      require_known(e, {"last_rows", "order", "row_blocks", "col_blocks", "k_blocks", "onednn"});
      ranges.push_back({count(e, "last_rows", 1),
                        {.order = order(e),
                         .row_blocks = count(e, "row_blocks", 1),
                         .col_blocks = count(e, "col_blocks", 1),
                         .k_blocks = count(e, "k_blocks", 1)},
                        get<bool>(e, "onednn", "true or false")});
    }
    return ranges;
  }

  OpSchedule op(json::Value object) const {
    OpSchedule schedule;
    require_known(object, {"nests", "chain", "block_nests", "attention", "by_heads_from",
                           "patch_rows", "task_rows"});
    schedule.nests = nests(object, "nests");
    if (has(object, "block_nests")) schedule.block_nests = nests(object, "block_nests");
    if (has(object, "chain")) {
      const json::Value chain = *find(object, "chain");
      require_known(chain, {"ops", "from_rows", "block_rows"});
      schedule.chain = {.ops = count(chain, "ops", 2),
                        .from_rows = count(chain, "from_rows", 1),
                        .block_rows = count(chain, "block_rows", 1)};
    }
    if (has(object, "attention")) {
      for (const json::Value e : get<json::Array>(object, "attention", "an array")) {
        require_known(e, {"last_rows", "dataflow", "task_rows"});
        schedule.attention.push_back(
            {count(e, "last_rows", 1), dataflow(e), count(e, "task_rows", 1)});
      }
      schedule.by_heads_from = count(object, "by_heads_from", 0);
    } else if (has(object, "by_heads_from")) {
      fail("has by_heads_from without attention");
    }
    if (has(object, "patch_rows")) schedule.patch_rows = count(object, "patch_rows", 1);
    if (has(object, "task_rows")) schedule.task_rows = count(object, "task_rows", 1);
    require_rising(schedule.nests);
    require_rising(schedule.block_nests);
    require_rising(schedule.attention);
    return schedule;
  }

 private:
  template <class Ranges>
  void require_rising(const Ranges& ranges) const {
    for (std::size_t i = 1; i < ranges.size(); ++i) {
      if (ranges[i].last_rows <= ranges[i - 1].last_rows) {
        fail(fmt::format("last_rows {} follows {}, expected rising numbers", ranges[i].last_rows,
                         ranges[i - 1].last_rows));
      }
    }
  }

  std::string where_;
};

[[noreturn]] void refuse(const Plan& plan, const std::string& what) {
  throw Error(ErrorCode::invalid_argument,
              fmt::format("plan{}{}: {}", plan.file.empty() ? "" : " ", plan.file, what));
}

template <class T>
void require_same(const Plan& plan, const char* what, const T& its, const T& here) {
  if (its == here) return;
  refuse(plan, fmt::format("was made for {} {}, expected {}", what, its, here));
}

/// Says so if a plan is of another part of a model: what is computed depends on what is asked for.
void require_same_outputs(const Plan& plan, const Program& program) {
  require_same(plan, "outputs", plan.identity.outputs, output_names(program));
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
  if (schedule.attention.back().last_rows < most) {
    fail(fmt::format("its last dataflow ends before {} rows", most));
  }
  const Index Br = kernels::kernels_at(in.isa).attention[op->precision].Br;
  for (const AttentionRange& range : schedule.attention) {
    if (range.task_rows >= Br) continue;
    fail(fmt::format("task_rows is {}, expected at least {}, a block of the kernel",
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
  const Index panels = ceil_div(task.shape.N, tile.NR);
  for (const auto& [last, nest, onednn] : nests) {
    if (nest.row_blocks > kMostBlocks / nest.col_blocks) {
      fail(fmt::format("has {} x {} blocks, expected fewer than 2^31", nest.row_blocks,
                       nest.col_blocks));
    }
    if (onednn && task.residual) fail("wants oneDNN where C is the residual's memory");
    if (onednn && !(in.allow_onednn && in.onednn_over_ours)) {
      fail(in.allow_onednn ? "wants oneDNN, whose plugin cannot be loaded"
                           : "wants oneDNN, which the session does not allow");
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
  if (op == nullptr) {
    if (!schedule.nests.empty() || !schedule.block_nests.empty())
      fail("is no linear, expected no nests");
    return;
  }
  if (schedule.nests.empty()) fail("has no nests, expected at least one");
  const LinearTask task = linear_task(in.program, *op, max_rows, false);
  const Index most = most_rows(in.program, op->out, max_rows, max_sequences);
  if (schedule.nests.back().last_rows < most) {
    fail(fmt::format("its last range ends before {} rows", most));
  }
  check_nests(in, task, schedule.nests, fail);
  check_nests(in, task, schedule.block_nests, fail);
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

std::string plan_to_json(const Plan& plan) {
  const PlanIdentity& id = plan.identity;
  const auto quoted = [](const std::string& text) { return detail::json_string(text); };
  std::string ops;
  for (const OpSchedule& op : plan.ops) ops += (ops.empty() ? "" : ",\n  ") + json_of(op);
  return fmt::format(
      "{{\"tessera_plan\":{},\"version\":{},\"program\":{},\"outputs\":{},\n"
      " \"machine\":{},\"isa\":{},\n"
      " \"threads\":{},\"max_rows\":{},\"max_sequences\":{},\"rates\":{},\n"
      " \"weights_stay_in_l3\":{},\n"
      " \"ops\":[{}]}}\n",
      kFormat, quoted(id.version), quoted(id.program), quoted(id.outputs), quoted(id.machine),
      quoted(id.isa), id.threads, id.max_rows, id.max_sequences, quoted(plan.rates_source),
      plan.weights_stay_in_l3, ops);
}

void save_plan(const fs::path& file, const Plan& plan) {
  replace_file(file, plan_to_json(plan));
}

Plan load_plan(const fs::path& file) {
  const Reader reader(file.string());
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(file, error);
  if (error) {
    const bool missing = error == std::errc::no_such_file_or_directory;
    throw Error(missing ? ErrorCode::not_found : ErrorCode::io_error,
                fmt::format("plan {}: cannot be read: {}", file.string(), error.message()));
  }
  if (bytes > kMaxFileBytes) {
    reader.fail(fmt::format("has {} bytes, expected at most {}", bytes, kMaxFileBytes));
  }
  const json::Tree tree = json::Tree::parse(read_file(file));
  if (!tree) reader.fail(fmt::format("is no JSON: {}", tree.message()));
  const json::Value root = tree.root();
  const auto format = reader.get<std::int64_t>(root, "tessera_plan", "the format's number");
  if (format != kFormat) {
    reader.fail(fmt::format("tessera_plan is {}, expected {}", format, kFormat));
  }
  Plan plan{.identity = {.version = reader.text(root, "version"),
                         .program = reader.text(root, "program"),
                         .outputs = reader.text(root, "outputs"),
                         .machine = reader.text(root, "machine"),
                         .isa = reader.text(root, "isa"),
                         .threads = static_cast<int>(
                             std::min<Index>(reader.count(root, "threads", 1), 1 << 20)),
                         .max_rows = reader.count(root, "max_rows", 1),
                         .max_sequences = reader.count(root, "max_sequences", 1)},
            .file = file.string(),
            .rates_source = reader.text(root, "rates"),
            .ops = {},
            .weights_stay_in_l3 = reader.get<bool>(root, "weights_stay_in_l3", "true or false"),
            .fallbacks = {}};
  plan.fallbacks = fallbacks_of(plan.rates_source);
  reader.require_known(
      root, {"tessera_plan", "version", "program", "outputs", "machine", "isa", "threads",
             "max_rows", "max_sequences", "rates", "weights_stay_in_l3", "ops"});
  for (const json::Value op : reader.get<json::Array>(root, "ops", "an array")) {
    const Reader of_op(fmt::format("{}: op {}", file.string(), plan.ops.size()));
    plan.ops.push_back(of_op.op(op));
  }
  return plan;
}

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
  for (std::size_t i = 0; i < plan.ops.size(); ++i) check_schedule(plan, input, i);
}

std::string diff_plans(const Plan& before, const Plan& after, const Program& program) {
  const PlanIdentity &was = before.identity, &is = after.identity;
  if (was.program != is.program) {
    require_same_outputs(before, program);
    refuse(before, fmt::format("was made for model {}, expected {}", was.program, is.program));
  }
  if (before.ops.size() != program.ops.size()) {
    refuse(before, fmt::format("has {} ops, expected {}", before.ops.size(), program.ops.size()));
  }
  std::string text;
  const auto field = [&](const char* name, const auto& a, const auto& b) {
    if (!(a == b)) text += fmt::format("{}: {} -> {}\n", name, a, b);
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
