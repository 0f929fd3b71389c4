// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/metered_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <utility>

#include "runtime/base/overloaded.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/meters/replay_kernels.hpp"
#include "runtime/session/session.hpp"
#include "tessera/measure/residual_stream.hpp"

namespace tessera {

MeteredModel::MeteredModel(std::shared_ptr<const models::Package> package,
                           const EncoderOptions& options, BatchShape shape,
                           const MeteredOptions& metered)
    : package_(std::move(package)), shape_(shape) {
  const Program& program = package_->program;
  SessionOptions session = options.session;
  if (session.outputs.empty()) session.outputs = {main_output(program)};
  if (metered.plan_is_of_here && session.plan != nullptr) {
    Plan plan = *session.plan;
    plan.identity.machine = machine_key(machine());
    session.plan = std::make_shared<const Plan>(std::move(plan));
  }
  Isa isa = metered.replayed ? *metered.replayed
                             : resolve_isa(options.model.isa, precision_to_ask(options.precision));
  if (metered.most_isa) isa = std::min(isa, *metered.most_isa);
  using Rates = MeteredOptions::Rates;
  rates_ = !cpu_supports(isa)                 ? nominal_rates(machine(), isa)
           : metered.rates == Rates::measured ? measured_rates(machine(), isa)
           : metered.rates == Rates::resolved ? resolve_rates(machine(), isa)
                                              : nominal_rates(machine(), isa);
  precision_ = choose_precision(options.precision, *package_, [&] { return rates_; }).precision;
  ModelOptions model{.isa = isa,
                     .kernels = metered.replayed ? &meters::replay_kernels(isa) : nullptr,
                     .outputs = session.outputs,
                     .precision = precision_};
  if (metered.holds_states) {
    const Program shown = with_stream(program);
    for (const Output& output : shown.outputs) model.held_outputs.push_back(output.name);
    session.outputs.clear();  // all of the model's
    model_ = Model::create(shown, package_->checkpoint, model);
  } else {
    model_ = Model::create(program, package_->checkpoint, model);
  }
  session.max_rows = std::max(options.batch_tokens, shape.rows);  // as `tessera plan`
  session.max_sequences = std::clamp(options.batch_sequences, shape.sequences, session.max_rows);
  if (metered.threads > 0) session.threads = metered.threads;
  session.rates = rates_;
  session_ = Session::create(model_, session);
  std::visit(Overloaded{[&](const TokenSpec& tokens) { make_tokens(tokens); },
                        [&](const ImageSpec& images) { make_images(images); }},
             program.inputs);
}

void MeteredModel::make_tokens(const TokenSpec& tokens) {
  std::mt19937 random(7);
  const auto vocab = static_cast<std::uint32_t>(tokens.vocab_size);
  for (Index i = 0; i < rows(); ++i) ids_.push_back(static_cast<std::int32_t>(random() % vocab));
  for (Index s = 1; s <= sequences(); ++s)
    offsets_.push_back(static_cast<std::int32_t>(rows() * s / sequences()));
}

/// The same image as often as there are sequences.
void MeteredModel::make_images(const ImageSpec& spec) {
  std::mt19937 random(7);
  pixels_.resize(static_cast<std::size_t>(spec.channels * spec.height * spec.width));
  for (float& pixel : pixels_) pixel = static_cast<float>(random() % 512) / 256.0F - 1.0F;
  images_.assign(static_cast<std::size_t>(sequences()),
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

}  // namespace tessera
