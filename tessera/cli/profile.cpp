// SPDX-License-Identifier: Apache-2.0
// tessera profile: what a plan predicts beside what a meter measures.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <utility>

#include "runtime/machine.hpp"
#include "runtime/meters/profile.hpp"
#include "runtime/meters/time.hpp"
#include "runtime/session.hpp"
#include "tessera/cli/metered_model.hpp"
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

void ProfileCommand::run() const {
  OutputFile out(output);  // first: what cannot be written is said before anything is measured
  MeteredModel metered(model, rows, sequences);
  meters::Measurement measured{.meter = meter};
  if (meter == "time") {
    meters::TimeMeter time(metered.session().program().ops.size(), static_cast<std::size_t>(runs));
    measured = metered.measure(time, runs);
  }
  const meters::Profile profile = meters::make_profile(metered.name(), metered.report(), machine(),
                                                       metered.rates(), std::move(measured));
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
