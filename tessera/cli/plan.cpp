// SPDX-License-Identifier: Apache-2.0
// tessera plan: what a run will do, how many bytes it moves, how long that takes, and why.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "runtime/base/error.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/plan_file.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct PlanCommand {
  ModelFlags model;
  Index rows = 128;
  Index sequences = 0;  // 0: not given
  bool is_json = false, is_strict = false, is_measured = true;
  std::string save, diff;

  void run() const;
};

void PlanCommand::run() const {
  const std::shared_ptr<const models::Package> package = model.open_package();
  const BatchShape shape = batch_shape(package->program, rows, sequences);
  EncoderOptions options = model.encoder_options({main_output(package->program)});
  options.strict = is_strict;
  options.batch_tokens = std::max(options.batch_tokens, shape.rows);
  options.batch_sequences = std::max(options.batch_sequences, shape.sequences);
  const Isa isa = resolve_isa(options.isa);
  options.rates = is_measured ? measured_rates(machine(), isa) : resolve_rates(machine(), isa);
  TextEncoder encoder(package, options);
  const PlanReport report = encoder.report(shape.rows, shape.sequences);
  if (!save.empty()) save_plan(save, encoder.plan());
  OutputFile out("-");
  if (!diff.empty()) {
    out.write(diff_plans(load_plan(diff), encoder.plan(), encoder.session_program()));
  } else {
    out.write(is_json ? report.json() : report.text());
  }
  out.finish();
}

}  // namespace

void add_plan(CLI::App& root) {
  auto* command = root.add_subcommand(
      "plan", "What a run will do: loop orders, bytes at each cache, time, and why");
  auto flags = std::make_shared<PlanCommand>();
  flags->model.add_to(*command);
  flags->model.add_plan_to(*command);
  command
      ->add_option("--rows", flags->rows,
                   "Token rows of the batch (default: 128); images: as many as fit, one at least")
      ->check(integer_between(1, std::int64_t{1} << 20))
      ->type_name("N");
  command
      ->add_option("--sequences", flags->sequences,
                   "... in N sequences (default: as few as the model takes); images: N of them")
      ->check(integer_between(1, std::int64_t{1} << 20))
      ->type_name("N");
  auto* json = command->add_flag("--json", flags->is_json, "One JSON object");
  command->add_flag("--strict", flags->is_strict,
                    "A fallback, such as rates that nobody measured, is an error");
  command->add_flag("--measure,!--no-measure", flags->is_measured,
                    "Measure this machine's rates once, in two seconds (default)");
  command->add_option("--save", flags->save, "Write the plan, for every number of rows, to FILE")
      ->type_name("FILE");
  command
      ->add_option("--diff", flags->diff,
                   "Print only where the plan differs from the saved one in FILE")
      ->type_name("FILE")
      ->excludes(json);
  command->footer(
      "Plans decide speed, never a bit of the result. --plan FILE prints a saved one here, and "
      "runs it\n"
      "in embed, classify, search and run. A saved plan is for batches of up to --batch-tokens.\n"
      "Rates are kept in $XDG_CACHE_HOME/tessera; TESSERA_RATES names another file.");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
