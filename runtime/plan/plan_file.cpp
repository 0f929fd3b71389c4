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

namespace tessera {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kFormat = 6;
constexpr std::uintmax_t kMaxFileBytes = std::uintmax_t{64} << 20;

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
  if (op.tile_ops != 0) text += fmt::format(R"(,"tile_ops":{})", op.tile_ops);
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
                           "patch_rows", "task_rows", "tile_ops"});
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
      fail("has by_heads_from without attention, expected both or none");
    }
    if (has(object, "patch_rows")) schedule.patch_rows = count(object, "patch_rows", 1);
    if (has(object, "tile_ops")) schedule.tile_ops = count(object, "tile_ops", 0);
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
  if (!tree) reader.fail(fmt::format("is no JSON: {}, expected a plan", tree.message()));
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

}  // namespace tessera
