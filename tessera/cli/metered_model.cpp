// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/metered_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "runtime/machine.hpp"
#include "runtime/session.hpp"

namespace tessera::cli {

MeteredModel::MeteredModel(const ModelFlags& flags, Index rows, Index sequences)
    : package_(flags.open_package()), rows_(rows) {
  const Program& program = package_->program;
  const Index count = count_sequences(rows, sequences, program.tokens.max_tokens);
  const EncoderOptions options = flags.encoder_options({main_output(program)});
  const Isa isa = resolve_isa(options.isa);
  rates_ = measured_rates(machine(), isa);
  model_ = Model::create(program, package_->checkpoint, {.isa = isa, .outputs = options.outputs});
  const Index most_rows = std::max(options.batch_tokens, rows);  // as `tessera plan`
  session_ = Session::create(
      model_, {.max_rows = most_rows,
               .max_sequences = std::clamp(options.batch_sequences, count, most_rows),
               .threads = options.threads,
               .outputs = options.outputs,
               .plan = options.plan,
               .rates = rates_,
               .allow_onednn = options.allow_onednn});
  std::mt19937 random(7);
  const auto vocab = static_cast<std::uint32_t>(program.tokens.vocab_size);
  for (Index i = 0; i < rows; ++i) ids_.push_back(static_cast<std::int32_t>(random() % vocab));
  for (Index s = 1; s <= count; ++s)
    offsets_.push_back(static_cast<std::int32_t>(rows * s / count));
}

std::string MeteredModel::name() const {
  std::filesystem::path directory = package_->directory.lexically_normal();
  if (!directory.has_filename()) directory = directory.parent_path();  // "model/"
  return fmt::format("{} ({})", directory.filename().string(), package_->architecture);
}

meters::Measurement MeteredModel::measure(meters::Meter& meter, Index runs) {
  const Batch batch{.ids = ids_, .offsets = offsets_};
  session_->run(batch);
  session_->observe(&meter);
  for (Index i = 0; i < runs; ++i) session_->run(batch);
  session_->observe(nullptr);
  return meter.take();
}

}  // namespace tessera::cli
