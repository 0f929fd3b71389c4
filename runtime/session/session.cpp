// SPDX-License-Identifier: Apache-2.0
#include "runtime/session/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/float_environment.hpp"
#include "runtime/execute/markers.hpp"
#include "runtime/execute/onednn_weights.hpp"
#include "runtime/execute/run_observer.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/session/parts.hpp"

namespace tessera {
namespace {

/// For every op the matrix that the next linear after it starts with.
std::vector<ParameterId> next_weights(const Program& program) {
  std::vector<ParameterId> next(program.ops.size(), kNone);
  ParameterId later = kNone;
  for (std::size_t i = program.ops.size(); i-- > 0;) {
    next[i] = later;
    if (const auto* linear = std::get_if<LinearOp>(&program.ops[i])) later = linear->weight;
    if (const auto* pooled = std::get_if<PooledLinearOp>(&program.ops[i])) later = pooled->weight;
  }
  return next;
}

/// By value: where the plan lets QKV lie by heads.
std::vector<ByHeads> by_heads(const Program& program, std::span<const OpSchedule> schedule) {
  std::vector<ByHeads> values(program.values.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (const auto* op = std::get_if<AttentionOp>(&program.ops[i])) {
      if (schedule[i].by_heads_from > 0) {
        values[at(op->q.value)] = {op->head_dim, schedule[i].by_heads_from};
      }
    }
  }
  return values;
}

/// Held during a run: two at a time would share the arena.
class Busy {
 public:
  explicit Busy(std::atomic<bool>& flag) : flag_(flag) {
    if (flag.exchange(true, std::memory_order_acquire)) {
      throw Error(ErrorCode::invalid_argument,
                  "session: another run is in progress, expected one at a time per session");
    }
  }
  ~Busy() { flag_.store(false, std::memory_order_release); }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::atomic<bool>& flag_;
};

class ArenaSession final : public Session {
 public:
  ArenaSession(std::shared_ptr<const LoadedModel> model, const SessionOptions& options)
      : model_(std::move(model)),
        options_(with_memory_choice(resolve(options, model_->isa()), model_->program(),
                                    model_->isa(),
                                    model_->packed_bytes() + model_->mapped_bytes())),
        program_(session_program(model_->program(), model_->isa(), options_)),
        kernels_(model_->kernels()),
        plan_(plan_of(program_, model_->isa(), options_)),
        next_weight_(next_weights(program_)),
        by_heads_(by_heads(program_, plan_->ops)),
        layout_(within_cap(lay_out(program_, options_, plan_->ops, kernels_), *model_, options_)),
        workers_(options_.parallel_for.run == nullptr
                     ? Workers(options_.threads)
                     : Workers(options_.threads, options_.parallel_for)),
        arena_(layout_.bytes, "session"),
        rotations_(program_, layout_.rotations, arena_),
        cuts_(program_.spaces.size()),
        places_(program_.values.size()) {
    for (std::size_t v = 0; v < places_.size(); ++v)
      places_[v] = arena_.data() + layout_.values.slots[v].offset;
    make_block_spaces();
    onednn_ = execute::OneDnnWeights::create(program_, plan_->ops, model_->weights(), kernels_,
                                             options_.threads);
#ifndef NDEBUG
    // A read of something that no op wrote shows as NaN.
    std::fill_n(arena_.floats(0), layout_.values.bytes / sizeof(float),
                std::numeric_limits<float>::quiet_NaN());
    std::fill_n(arena_.floats(layout_.blocks),
                layout_.block_stride * static_cast<std::size_t>(options_.threads) / sizeof(float),
                std::numeric_limits<float>::quiet_NaN());
#endif
  }

  void run(const Batch& batch, const RunControl& control) override {
    const Busy busy(busy_);
    check_batch(program_, options_, batch);
    model_->weights().check_unchanged();
    const FloatEnvironment floats;
    RunStop stop(control);
    workers_.begin_run(&stop);
    const std::span<const std::int32_t> offsets =
        batch.images.empty() ? batch.offsets : derived_offsets(batch);
    cut_spaces(offsets, batch.images);
    const Cuts& tokens = cuts_[kTokens];
    const std::span<const std::int32_t> positions = positions_of(batch, tokens);
    const execute::Context context{
        .program = program_,
        .weights = model_->weights(),
        .kernels = kernels_,
        .workers = workers_,
        .places = places_,
        .slots = layout_.values.slots,
        .schedule = plan_->ops,
        .next_weight = next_weight_,
        .by_heads = by_heads_,
        .rotations = rotations_.tables(),
        .weights_stay_in_l3 = plan_->weights_stay_in_l3,
        .onednn = onednn_.get(),
        .scratch = arena_.floats(layout_.scratch),
        .scratch_stride = layout_.scratch_stride,
        .holds_columns = layout_.holds_columns,
        .block_begin = integers(layout_.block_begin),
        .block_spaces = block_spaces_,
        .query_blocks = {integers(layout_.query_blocks), layout_.most_query_blocks},
        .cuts = cuts_,
        .rows = tokens.rows,
        .sequences = tokens.pieces,
        .longest = tokens.longest,
        .ids = batch.ids,
        .types = batch.types,
        .positions = positions,
        .columns = batch.columns,
        .offsets = offsets,
        .query_only = batch.query_only,
        .pool_from = batch.pool_from,
        .images = batch.images,
        .lengths = derived_lengths(offsets, positions),
    };
    if (observer_ != nullptr) observer_->begin_run();
    std::size_t i = 0;
    while (i < program_.ops.size() && !stop.requested()) {
      const std::size_t count = execute::ops_together(context, i);
      if (execute::begins_chain(context, i)) {
        execute::run_chain(context, i, observer_);
      } else {
        execute::mark_op_begin(i, count, tokens.rows);
        if (observer_ != nullptr) observer_->begin_ops(i, count);
        execute::run_op(context, i);
        if (observer_ != nullptr) observer_->end_ops(i, count);
        execute::mark_op_end(i, count, tokens.rows);
      }
      i += count;
    }
    if (observer_ != nullptr) observer_->end_run();
    if (stop.stopped()) throw_ended(i, stop);
  }

  void trim() override {
    const Busy busy(busy_);
    forget_result();
    rotations_.forget();
    arena_.release();
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
            .rows = cuts_[at(value.space)].rows,
            .cols = value.width,
            .stride = activation_stride(value.width, value.type)};
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
    PlanInput input = plan_input(program_, model_->isa(), options_);
    input.holds_columns = layout_.holds_columns;
    return report_plan(*plan_, input, rows, sequences);
  }

 private:
  /// After op `begun` − 1, or one of the chain that ends with it, was begun and tasks were left out.
  [[noreturn]] void throw_ended(std::size_t begun, const RunStop& stop) {
    forget_result();
    if (const char* failure = workers_.failure(); failure != nullptr) {
      throw Error(ErrorCode::invalid_argument, fmt::format("session: parallel_for: {}", failure));
    }
    throw Error(ErrorCode::cancelled,
                fmt::format("session: the run {} after {} of {} ops",
                            stop.past_deadline() ? "passed its deadline" : "was cancelled", begun,
                            program_.ops.size()));
  }

  void forget_result() noexcept {
    std::fill(cuts_.begin(), cuts_.end(), Cuts{});
  }

  /// What each worker runs blocks of chains with.
  void make_block_spaces() {
    if (layout_.block_sequences == 0) return;
    const auto workers = static_cast<std::size_t>(options_.threads);
    const std::size_t values = places_.size(), spaces = cuts_.size();
    block_places_.resize(workers * values);
    block_cuts_.resize(workers * spaces);
    std::int32_t* const integers = this->integers(layout_.block_integers);
    for (std::size_t w = 0; w < workers; ++w) {
      std::int32_t* const offsets = integers + 2 * w * layout_.block_sequences;
      block_spaces_.push_back(
          {.places = std::span(block_places_).subspan(w * values, values),
           .cuts = std::span(block_cuts_).subspan(w * spaces, spaces),
           .offsets = offsets,
           .block_begin = offsets + layout_.block_sequences,
           .memory = arena_.data() + layout_.blocks + w * layout_.block_stride});
    }
  }

  /// The cuts of every space for a batch.
  void cut_spaces(std::span<const std::int32_t> offsets, std::span<const Image> images) noexcept {
    cuts_[kTokens] = cuts_of(offsets);
    if (has_maps(program_.spaces, kTokens)) {
      const auto grids = at_arena<Grid>(layout_.cuts[kTokens].grids, images.size());
      for (std::size_t s = 0; s < images.size(); ++s) {
        grids[s] = program_.images()->grid_of(images[s].height, images[s].width);
      }
      cuts_[kTokens].grids = grids;
    }
    for (std::size_t i = 1; i < program_.spaces.size(); ++i) {
      const Space& space = program_.spaces[i];
      const SessionLayout::SpaceCuts& at_i = layout_.cuts[i];
      const auto pieces = static_cast<std::size_t>(at_i.pieces);
      cuts_[i] = derive_cuts(space, cuts_[at(space.parent)],
                             {.offsets = {integers(at_i.offset), pieces + 1},
                              .grids = at_arena<Grid>(at_i.grids, pieces),
                              .places = at_arena<WindowPlace>(at_i.places, pieces)});
    }
  }

  template <class T>
  std::span<T> at_arena(std::size_t offset, std::size_t count) const noexcept {
    return {reinterpret_cast<T*>(arena_.data() + offset), count};
  }

  std::int32_t* integers(std::size_t offset) const noexcept {
    return reinterpret_cast<std::int32_t*>(arena_.data() + offset);
  }

  std::span<const std::int32_t> derived_offsets(const Batch& batch) const {
    const std::span<std::int32_t> offsets{integers(layout_.offsets), batch.images.size() + 1};
    offsets[0] = 0;
    for (std::size_t s = 0; s < batch.images.size(); ++s) {
      const Image& image = batch.images[s];
      offsets[s + 1] = offsets[s] + static_cast<std::int32_t>(
                                        image_rows(*program_.images(), image.height, image.width,
                                                   batch.interpolate_positions));
    }
    return offsets;
  }

  /// By row; the tables of rotations hold them.
  std::span<const std::int32_t> positions_of(const Batch& batch, const Cuts& tokens) noexcept {
    const std::span<std::int32_t> positions{integers(layout_.positions),
                                            static_cast<std::size_t>(tokens.rows)};
    if (!batch.images.empty()) return rotations_.fill(batch.images, positions);
    rotations_.fill(tokens.longest);
    if (!batch.positions.empty()) return batch.positions;
    for (std::size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
      const auto begin = static_cast<std::size_t>(batch.offsets[s]);
      const auto count = static_cast<std::size_t>(batch.offsets[s + 1]) - begin;
      fill_positions(*program_.tokens(), batch.ids.subspan(begin, count),
                     positions.subspan(begin, count));
    }
    return positions;
  }

  /// Of the sequence of each row its largest position + 1, where a rotation asks.
  std::span<const std::int32_t> derived_lengths(
      std::span<const std::int32_t> offsets,
      std::span<const std::int32_t> positions) const noexcept {
    if (layout_.lengths == 0) return {};
    const std::span<std::int32_t> lengths{integers(layout_.lengths), positions.size()};
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      const auto first = positions.begin() + offsets[s], last = positions.begin() + offsets[s + 1];
      if (first == last) continue;
      std::fill(lengths.begin() + offsets[s], lengths.begin() + offsets[s + 1],
                *std::max_element(first, last) + 1);
    }
    return lengths;
  }

  std::shared_ptr<const LoadedModel> model_;
  SessionOptions options_;
  Program program_;
  const kernels::KernelTable& kernels_;
  std::shared_ptr<const Plan> plan_;
  std::vector<ParameterId> next_weight_;
  std::vector<ByHeads> by_heads_;
  std::unique_ptr<execute::OneDnnWeights> onednn_;  // null: no op uses it
  SessionLayout layout_;
  Workers workers_;
  Arena arena_;
  Rotations rotations_;
  RunObserver* observer_ = nullptr;
  std::atomic<bool> busy_{false};
  std::vector<Cuts> cuts_;  // of the last run, by space; offsets are valid during a run
  std::vector<std::byte*> places_, block_places_;  // by value; of each worker by value
  std::vector<Cuts> block_cuts_;                   // of each worker by space
  std::vector<execute::BlockSpace> block_spaces_;  // by worker
};

}  // namespace

std::unique_ptr<Session> Session::create(std::shared_ptr<const Model> model,
                                         const SessionOptions& options) {
  return std::make_unique<ArenaSession>(
      std::static_pointer_cast<const LoadedModel>(std::move(model)), options);
}

}  // namespace tessera
