// SPDX-License-Identifier: Apache-2.0
// tessera plan: what a run will do, how many bytes it moves, how long that takes, and why.
#include <CLI/CLI.hpp>

#include "runtime/machine/machine.hpp"
#include "runtime/plan/plan_file.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/role_flag.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct PlanCommand {
  ModelFlags model;
  RoleFlag role;
  BatchFlags batch;
  bool is_json = false, is_strict = false, is_measured = true;
  std::string save, diff;
  std::vector<std::string> outputs;  // empty: the main one

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;
};

void PlanCommand::run(const CLI::App& /*command*/) const {
  std::vector<std::string> read;
  for (const std::string& file : {diff, model.plan}) {
    if (!file.empty()) read.push_back(file);
  }
  require_distinct({{"--save", save}}, read, model.model);
  const auto package = role.open_route(model);
  const BatchShape shape = batch.shape(package->program);
  const std::vector<std::string> names =
      outputs.empty() ? std::vector{main_output(package->program)} : outputs;
  model.require_sparse_for_top_k(*package, names);
  EncoderOptions options = model.encoder_options(names);
  options.batch_tokens = std::max(options.batch_tokens, shape.rows);
  options.batch_sequences = std::max(options.batch_sequences, shape.sequences);
  options.session.strict = is_strict;
  const Isa isa = resolve_isa(options.model.isa, precision_to_ask(options.precision));
  options.session.rates =
      is_measured ? measured_rates(machine(), isa) : resolve_rates(machine(), isa);
  if (const Isa other = resolve_isa(options.model.isa, Precision::bf16);
      is_measured && other != isa && RatesPlaces::from_environment().override_files.empty()) {
    (void)measured_rates(machine(), other);  // of what the plan says of bf16
  }
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

void PlanCommand::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_tower_to(command);
  role.add_route_to(command);
  model.add_embedding_to(command);
  model.add_top_k_to(command);
  model.add_plan_to(command);
  batch.add_to(command);
  auto* json = command.add_flag("--json", is_json, "One JSON object");
  command.add_flag("--strict", is_strict,
                   "A fallback, such as rates that nobody measured, is an error");
  command.add_flag("--measure,!--no-measure", is_measured,
                   "Measure this machine's rates once, in two seconds (default)");
  add_option(command, "--save", save, "FILE", "Write the plan, for every number of rows, to FILE")
      ->check(not_empty());
  add_option(command, "--diff", diff, "FILE",
             "Print only where the plan differs from the saved one in FILE")
      ->check(not_empty())
      ->excludes(json);
  add_option(command, "--output-name", outputs, "NAME",
             "Plan for this output; of several given once for each, or with commas between them "
             "(default: a sparse embedding, else logits, else embedding, else last_hidden_state)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.footer(
      "Plans decide speed, never a bit of the result. --plan FILE prints a saved one here, and "
      "runs it\n"
      "in embed, classify, search and run, where it is of the outputs that they compute:\n"
      "--output-name embedding for embed and search, those that it writes for run. A saved plan is "
      "for batches of up to --batch-tokens.\n"
      "The line that says \"would take\" is of a plan in the other precision, same batch, threads "
      "and\n"
      "rates; in --json: other_precision, other_seconds, other_weights_packed_bytes, "
      "other_arena_bytes.\n"
      "Rates are kept in $XDG_CACHE_HOME/tessera; TESSERA_RATES names another file, or one per "
      "level with colons between them.");
}

}  // namespace

void add_plan(CLI::App& root) {
  add_command<PlanCommand>(root, "plan",
                           "What a run will do: loop orders, bytes at each cache, time, and why");
}

}  // namespace tessera::cli
