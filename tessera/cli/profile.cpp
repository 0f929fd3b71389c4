// SPDX-License-Identifier: Apache-2.0
// tessera profile: what a plan predicts beside what a meter measures.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "runtime/error.hpp"
#include "runtime/machine.hpp"
#include "runtime/meters/profile.hpp"
#include "runtime/meters/time.hpp"
#include "runtime/plan/plan_file.hpp"
#include "runtime/session.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output.hpp"

namespace tessera::cli {
namespace {

struct ProfileCommand {
  ModelFlags model;
  Index rows = 128;
  Index sequences = 0;  // 0: not given
  Index runs = 10;
  std::string meter = "time", output = "-";
  bool is_json = false;

  void run() const;
};

/// Ids that the model knows, the same in every process.
struct RandomInputs {
  std::vector<std::int32_t> ids, offsets{0};

  RandomInputs(Index rows, Index sequences, Index vocab) {
    std::mt19937 random(7);
    for (Index i = 0; i < rows; ++i)
      ids.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(vocab)));
    for (Index s = 1; s <= sequences; ++s)
      offsets.push_back(static_cast<std::int32_t>(rows * s / sequences));
  }
  Batch batch() const { return {.ids = ids, .offsets = offsets}; }
};

/// "text (BertModel)".
std::string name_of(const models::Package& package) {
  std::filesystem::path directory = package.directory.lexically_normal();
  if (!directory.has_filename()) directory = directory.parent_path();  // "model/"
  return fmt::format("{} ({})", directory.filename().string(), package.architecture);
}

/// One run to warm up, then `runs` runs that the meter sees.
meters::Measurement measure(Session& session, meters::Meter& meter, const Batch& batch,
                            Index runs) {
  session.run(batch);
  session.observe(&meter);
  for (Index i = 0; i < runs; ++i) session.run(batch);
  session.observe(nullptr);
  return meter.take();
}

void ProfileCommand::run() const {
  OutputFile out(output);  // first: what cannot be written is said before anything is measured
  const std::shared_ptr<const models::Package> package = model.open_package();
  const Program& program = package->program;
  const Index count = count_sequences(rows, sequences, program.tokens.max_tokens);
  EncoderOptions options = model.encoder_options({main_output(program)});
  const Isa isa = resolve_isa(options.isa);
  options.isa = isa;
  options.rates = measured_rates(machine(), isa);
  const auto loaded =
      Model::create(program, package->checkpoint, {.isa = isa, .outputs = options.outputs});
  const Index most_rows = std::max(options.batch_tokens, rows);  // as `tessera plan`
  const auto session = Session::create(
      loaded, {.max_rows = most_rows,
               .max_sequences = std::clamp(options.batch_sequences, count, most_rows),
               .threads = options.threads,
               .outputs = options.outputs,
               .plan = options.plan,
               .rates = options.rates,
               .allow_onednn = options.allow_onednn});
  const RandomInputs inputs(rows, count, program.tokens.vocab_size);
  meters::Measurement measured{.meter = meter};
  if (meter == "time") {
    meters::TimeMeter time(session->program().ops.size(), static_cast<std::size_t>(runs));
    measured = measure(*session, time, inputs.batch(), runs);
  }
  const meters::Profile profile =
      meters::make_profile(name_of(*package), session->report(rows, count), machine(),
                           *options.rates, std::move(measured));
  out.write(is_json ? meters::profile_json(profile) : meters::profile_text(profile));
  out.finish();
}

}  // namespace

void add_profile(CLI::App& root) {
  auto* command =
      root.add_subcommand("profile", "What a plan predicts beside what a meter measures, op by op");
  auto flags = std::make_shared<ProfileCommand>();
  flags->model.add_to(*command);
  flags->model.add_plan_to(*command);
  command->add_option("--rows", flags->rows, "Token rows of the batch (default: 128)")
      ->check(integer_between(1, std::int64_t{1} << 20))
      ->type_name("N");
  command
      ->add_option("--sequences", flags->sequences,
                   "... in N sequences (default: as few as the model takes)")
      ->check(integer_between(1, std::int64_t{1} << 20))
      ->type_name("N");
  command->add_option("--meter", flags->meter, "time or none (default: time)")
      ->check(one_of({"time", "none"}))
      ->type_name("METER");
  command->add_option("--runs", flags->runs, "Runs that are measured (default: 10)")
      ->check(integer_between(1, 100000))
      ->type_name("N");
  command->add_flag("--json", flags->is_json, "One JSON object");
  command->add_option("-o,--output", flags->output, "Where to write ('-' or none: stdout)")
      ->type_name("FILE");
  command->footer("Token ids are pseudo-random, the same in every process.");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
