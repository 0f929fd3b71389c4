// SPDX-License-Identifier: Apache-2.0
#include "runtime/session.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "runtime/error.hpp"
#include "runtime/execute/onednn_weights.hpp"
#include "runtime/execute/qkv_layout.hpp"
#include "runtime/machine.hpp"
#include "runtime/meters/markers.hpp"
#include "runtime/overloaded.hpp"
#include "runtime/plan/plan_file.hpp"
#include "runtime/program/rewrites.hpp"
#include "runtime/run_observer.hpp"
#include "runtime/session_parts.hpp"

namespace tessera {
namespace {

SessionOptions resolve(SessionOptions options) {
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
  if (options.threads == 0) options.threads = default_thread_count();
  return options;
}

std::size_t round_up(std::size_t bytes) {
  return (bytes + 127) / 128 * 128;
}

SessionLayout lay_out(const Program& program, const SessionOptions& options,
                      std::span<const OpSchedule> schedule, const kernels::KernelTable& kernels) {
  SessionLayout layout{.values = plan_memory(program, options.max_rows, options.max_sequences)};
  layout.scratch_stride = execute::scratch_elements(program, schedule, kernels, options.max_rows);
  const auto sequences = static_cast<std::size_t>(options.max_sequences);
  std::size_t end = round_up(layout.values.bytes);
  const auto reserve = [&](std::size_t bytes) { return std::exchange(end, end + round_up(bytes)); };
  layout.scratch =
      reserve(static_cast<std::size_t>(layout.scratch_stride * options.threads) * sizeof(float));
  layout.positions = reserve(static_cast<std::size_t>(options.max_rows) * sizeof(std::int32_t));
  layout.block_begin = reserve((sequences + 1) * sizeof(std::int32_t));
  layout.offsets = reserve((sequences + 1) * sizeof(std::int32_t));
  layout.bytes = end;
  return layout;
}

Program session_program(const Model& model, const SessionOptions& options) {
  if (options.outputs.empty()) return model.program();
  return keep_outputs(model.program(), options.outputs, KeepParameters::all);
}

/// The rates of the whole life of a session, asked for once.
SessionOptions with_rates(SessionOptions options, const Model& model) {
  if (!options.rates) options.rates = resolve_rates(machine(), model.isa());
  const MachineRates& r = *options.rates;
  for (const double rate : {r.flops, r.l1_bytes, r.l2_bytes, r.l3_bytes, r.memory_bytes, r.exps}) {
    if (rate > 0 && std::isfinite(rate)) continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("session: a machine rate is {}, expected a positive number", rate));
  }
  return options;
}

PlanInput plan_input(const Program& program, const Model& model, const SessionOptions& options) {
  const kernels::Gemm& gemm = kernels::kernels_at(model.isa()).gemm;
  return {.program = program,
          .machine = machine(),
          .rates = *options.rates,
          .isa = model.isa(),
          .tile = {.MR = gemm.MR, .NR = gemm.NR},
          .threads = options.threads,
          .max_rows = options.max_rows,
          .max_sequences = options.max_sequences,
          .allow_onednn = options.allow_onednn};
}

/// The caller's plan, checked, or a new one.
std::shared_ptr<const Plan> plan_of(const Program& program, const Model& model,
                                    const SessionOptions& options) {
  std::shared_ptr<const Plan> plan = options.plan;
  if (plan != nullptr) {
    check_plan(*plan, plan_input(program, model, options));
  } else {
    plan = std::make_shared<const Plan>(make_plan(plan_input(program, model, options)));
  }
  if (options.strict && !plan->fallbacks.empty()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("session: strict, but {}", fmt::join(plan->fallbacks, "; ")));
  }
  return plan;
}

/// For every op the matrix that the next linear after it starts with.
std::vector<ParameterId> next_weights(const Program& program) {
  std::vector<ParameterId> next(program.ops.size(), kNone);
  ParameterId later = kNone;
  for (std::size_t i = program.ops.size(); i-- > 0;) {
    next[i] = later;
    if (const auto* linear = std::get_if<LinearOp>(&program.ops[i])) later = linear->weight;
  }
  return next;
}

std::vector<Index> head_dims(const Program& program, Index NR) {
  std::vector<Index> dims;
  for (std::size_t v = 0; v < program.values.size(); ++v) {
    dims.push_back(execute::head_dim_of(program, static_cast<ValueId>(v), NR));
  }
  return dims;
}

Index longest_sequence(std::span<const std::int32_t> offsets) noexcept {
  std::int32_t longest = 0;
  for (std::size_t s = 1; s < offsets.size(); ++s) {
    longest = std::max(longest, offsets[s] - offsets[s - 1]);
  }
  return longest;
}

class ArenaSession final : public Session {
 public:
  ArenaSession(std::shared_ptr<const LoadedModel> model, const SessionOptions& options)
      : model_(std::move(model)),
        options_(with_rates(resolve(options), *model_)),
        program_(session_program(*model_, options_)),
        kernels_(kernels::kernels_at(model_->isa())),
        plan_(plan_of(program_, *model_, options_)),
        next_weight_(next_weights(program_)),
        head_dims_(head_dims(program_, kernels_.gemm.NR)),
        weights_stay_in_l3_(weights_stay_in_l3(program_, machine())),
        layout_(lay_out(program_, options_, plan_->ops, kernels_)),
        workers_(options_.threads),
        arena_(layout_.bytes, "session") {
    onednn_ = execute::OneDnnWeights::create(program_, plan_->ops, model_->weights(), kernels_,
                                             options_.threads);
#ifndef NDEBUG
    // A read of something that no op wrote shows as NaN.
    std::fill_n(arena_.floats(0), layout_.values.bytes / sizeof(float),
                std::numeric_limits<float>::quiet_NaN());
#endif
  }

  void run(const Batch& batch) override {
    check_batch(program_, options_, batch);
    const std::span<const std::int32_t> offsets =
        batch.images.empty() ? batch.offsets : derived_offsets(batch);
    rows_ = offsets.back();
    sequences_ = std::ssize(offsets) - 1;
    const execute::Context context{
        .program = program_,
        .weights = model_->weights(),
        .kernels = kernels_,
        .workers = workers_,
        .memory = layout_.values,
        .schedule = plan_->ops,
        .next_weight = next_weight_,
        .head_dims = head_dims_,
        .weights_stay_in_l3 = weights_stay_in_l3_,
        .onednn = onednn_.get(),
        .arena = arena_.data(),
        .scratch = arena_.floats(layout_.scratch),
        .scratch_stride = layout_.scratch_stride,
        .block_begin = integers(layout_.block_begin),
        .rows = rows_,
        .sequences = sequences_,
        .longest = longest_sequence(offsets),
        .ids = batch.ids,
        .types = batch.types,
        .positions = batch.positions.empty() ? derived_positions(batch) : batch.positions,
        .columns = batch.columns,
        .offsets = offsets,
        .query_only = batch.query_only,
        .images = batch.images,
    };
    if (observer_ != nullptr) observer_->begin_run();
    for (std::size_t i = 0; i < program_.ops.size();) {
      const std::size_t count = execute::is_chained(context, i) ? 2 : 1;
      meters::mark_op_begin(i, count, rows_);
      if (observer_ != nullptr) observer_->begin_ops(i, count);
      if (count == 2) {
        execute::run_chain(context, i);
      } else {
        std::visit(Overloaded{[&](const LinearOp&) { execute::run_linear(context, i); },
                              [&](const auto& o) { execute::run(context, o); }},
                   program_.ops[i]);
      }
      if (observer_ != nullptr) observer_->end_ops(i, count);
      meters::mark_op_end(i, count, rows_);
      i += count;
    }
    if (observer_ != nullptr) observer_->end_run();
  }

  void observe(RunObserver* observer) noexcept override {
    observer_ = observer;
  }

  TensorView<const float> output(std::string_view name) const override {
    const std::int32_t found = program_.find_output(name);
    if (found == kNone) {
      std::string known;
      for (const Output& output : program_.outputs)
        known += (known.empty() ? "" : ", ") + output.name;
      throw Error(ErrorCode::not_found,
                  fmt::format("session: no output \"{}\", expected one of {}", name, known));
    }
    const auto v =
        static_cast<std::size_t>(program_.outputs[static_cast<std::size_t>(found)].value);
    const Value& value = program_.values[v];
    return {.data = arena_.floats(layout_.values.slots[v].offset),
            .rows = value.extent == Extent::rows ? rows_ : sequences_,
            .cols = value.width,
            .stride = activation_stride(value.width)};
  }

  const SessionOptions& options() const noexcept override {
    return options_;
  }
  std::size_t memory_bytes() const noexcept override {
    return layout_.bytes + (onednn_ == nullptr ? 0 : onednn_->bytes());
  }

  const Program& program() const noexcept override {
    return program_;
  }
  const Plan& plan() const noexcept override {
    return *plan_;
  }

  PlanReport report(Index rows, Index sequences) const override {
    return report_plan(*plan_, plan_input(program_, *model_, options_), rows, sequences);
  }

 private:
  std::int32_t* integers(std::size_t offset) const noexcept {
    return reinterpret_cast<std::int32_t*>(arena_.data() + offset);
  }

  std::span<const std::int32_t> derived_offsets(const Batch& batch) const {
    const std::span<std::int32_t> offsets{integers(layout_.offsets), batch.images.size() + 1};
    offsets[0] = 0;
    for (std::size_t s = 0; s < batch.images.size(); ++s) {
      const Image& image = batch.images[s];
      offsets[s + 1] = offsets[s] + static_cast<std::int32_t>(
                                        image_rows(program_.images, image.height, image.width,
                                                   batch.interpolate_positions));
    }
    return offsets;
  }

  std::span<const std::int32_t> derived_positions(const Batch& batch) const noexcept {
    const std::span<std::int32_t> positions{integers(layout_.positions), batch.ids.size()};
    for (std::size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
      const auto begin = static_cast<std::size_t>(batch.offsets[s]);
      const auto count = static_cast<std::size_t>(batch.offsets[s + 1]) - begin;
      fill_positions(program_.tokens, batch.ids.subspan(begin, count),
                     positions.subspan(begin, count));
    }
    return positions;
  }

  std::shared_ptr<const LoadedModel> model_;
  SessionOptions options_;
  Program program_;
  const kernels::KernelTable& kernels_;
  std::shared_ptr<const Plan> plan_;
  std::vector<ParameterId> next_weight_;
  std::vector<Index> head_dims_;
  bool weights_stay_in_l3_;
  std::unique_ptr<execute::OneDnnWeights> onednn_;  // null: no op uses it
  SessionLayout layout_;
  Workers workers_;
  Arena arena_;
  RunObserver* observer_ = nullptr;
  Index rows_ = 0, sequences_ = 0;
};

}  // namespace

std::size_t Session::memory_bytes(const Model& model, const SessionOptions& options) {
  const SessionOptions resolved = with_rates(resolve(options), model);
  const Program program = session_program(model, resolved);
  const std::shared_ptr<const Plan> plan = plan_of(program, model, resolved);
  const std::size_t copies =
      resolved.allow_onednn ? execute::OneDnnWeights::most_bytes(program) : 0;
  return lay_out(program, resolved, plan->ops, kernels::kernels_at(model.isa())).bytes + copies;
}

std::unique_ptr<Session> Session::create(std::shared_ptr<const Model> model,
                                         const SessionOptions& options) {
  return std::make_unique<ArenaSession>(
      std::static_pointer_cast<const LoadedModel>(std::move(model)), options);
}

}  // namespace tessera
