// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/metered_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "runtime/base/overloaded.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/meters/replay_kernels.hpp"
#include "runtime/session/session.hpp"

namespace tessera::cli {

MeteredModel::MeteredModel(const ModelFlags& flags, Index rows, Index sequences,
                           const MeteredOptions& metered)
    : package_(flags.open_package()), rows_(rows), sequences_(sequences) {
  const Program& program = package_->program;
  const BatchShape shape = batch_shape(program, rows, sequences);
  rows_ = shape.rows;
  sequences_ = shape.sequences;
  EncoderOptions options = flags.encoder_options({main_output(program)});
  if (metered.plan_is_of_here && options.plan != nullptr) {
    Plan plan = *options.plan;
    plan.identity.machine = machine_key(machine());
    options.plan = std::make_shared<const Plan>(std::move(plan));
  }
  Isa isa = metered.replayed ? *metered.replayed : resolve_isa(options.isa);
  if (metered.most_isa) isa = std::min(isa, *metered.most_isa);
  using Rates = MeteredOptions::Rates;
  rates_ = !cpu_supports(isa)                 ? nominal_rates(machine(), isa)
           : metered.rates == Rates::measured ? measured_rates(machine(), isa)
           : metered.rates == Rates::resolved ? resolve_rates(machine(), isa)
                                              : nominal_rates(machine(), isa);
  model_ = Model::create(program, package_->checkpoint,
                         {.isa = isa,
                          .kernels = metered.replayed ? &meters::replay_kernels(isa) : nullptr,
                          .outputs = options.outputs});
  const Index most_rows = std::max(options.batch_tokens, rows_);  // as `tessera plan`
  session_ = Session::create(
      model_, {.max_rows = most_rows,
               .max_sequences = std::clamp(options.batch_sequences, sequences_, most_rows),
               .threads = metered.threads > 0 ? metered.threads : options.threads,
               .outputs = options.outputs,
               .plan = options.plan,
               .rates = rates_,
               .loop_order = options.loop_order,
               .attention = options.attention,
               .allow_onednn = options.allow_onednn});
  std::visit(Overloaded{[this](const TokenSpec& spec) { make_tokens(spec); },
                        [this](const ImageSpec& spec) { make_images(spec); }},
             program.inputs);
}

void MeteredModel::make_tokens(const TokenSpec& spec) {
  std::mt19937 random(7);
  const auto vocab = static_cast<std::uint32_t>(spec.vocab_size);
  for (Index i = 0; i < rows_; ++i) ids_.push_back(static_cast<std::int32_t>(random() % vocab));
  for (Index s = 1; s <= sequences_; ++s)
    offsets_.push_back(static_cast<std::int32_t>(rows_ * s / sequences_));
}

/// The same image as often as there are sequences.
void MeteredModel::make_images(const ImageSpec& spec) {
  std::mt19937 random(7);
  pixels_.resize(static_cast<std::size_t>(spec.channels * spec.height * spec.width));
  for (float& pixel : pixels_) pixel = static_cast<float>(random() % 512) / 256.0F - 1.0F;
  images_.assign(static_cast<std::size_t>(sequences_),
                 {.planes = pixels_.data(), .height = spec.height, .width = spec.width});
}

std::string MeteredModel::name() const {
  std::filesystem::path directory = package_->directory.lexically_normal();
  if (!directory.has_filename()) directory = directory.parent_path();  // "model/"
  return fmt::format("{} ({})", directory.filename().string(), package_->architecture);
}

void MeteredModel::run(RunObserver* observer, Index runs) {
  const Batch batch =
      images_.empty() ? Batch{.ids = ids_, .offsets = offsets_} : Batch{.images = images_};
  session_->observe(observer);
  for (Index i = 0; i < runs; ++i) session_->run(batch);
  session_->observe(nullptr);
}

meters::Measurement MeteredModel::measure(meters::Meter& meter, Index runs) {
  run(nullptr, 1);
  run(&meter, runs);
  return meter.take();
}

}  // namespace tessera::cli
