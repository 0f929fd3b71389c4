// SPDX-License-Identifier: Apache-2.0
// tessera profile: what a plan predicts beside what a meter measures.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/meters/profile.hpp"
#include "runtime/session/session.hpp"
#include "tessera/cli/advice.hpp"
#include "tessera/cli/against_flags.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/role_flag.hpp"
#include "tessera/measure/run_meters.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/precision.hpp"

namespace tessera::cli {
namespace {

const std::vector<std::string> kMeters{"time", "hardware", "callgrind", "replay", "none"};

struct ProfileCommand {
  ModelFlags model;
  RoleFlag role;
  BatchFlags batch;
  AgainstFlags against;
  Index runs = 10;
  std::string meter = "time", events, output = "-";
  CallgrindCaches callgrind;
  bool is_json = false, is_measured = true;
  Index under_callgrind = -1;  // started by measure_with_callgrind(): bytes to evict between ops

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;

 private:
  /// Throws UsageError for flags of another meter.
  void check_meter(const CLI::App& command) const;
  meters::Measurement measure(MeteredModel& metered) const;
  std::vector<std::string> arguments_of_child(const MeteredModel& metered) const;
};

Isa isa_of(const ModelFlags& model) {
  const EncoderOptions options = model.encoder_options({});
  return resolve_isa(options.model.isa, precision_to_ask(options.precision));
}

/// What makes this binary do the same under Valgrind, on one thread.
std::vector<std::string> ProfileCommand::arguments_of_child(const MeteredModel& metered) const {
  std::vector<std::string> arguments{"profile",     model.model,
                                     "--rows",      fmt::format("{}", batch.rows),
                                     "--sequences", fmt::format("{}", metered.sequences()),
                                     "--threads",   "1",
                                     "--isa",       metered.session().plan().identity.isa,
                                     "--precision", option_name(metered.precision())};
  if (!model.architecture.empty()) {
    arguments.insert(arguments.end(), {"--class", model.architecture});
  }
  if (role.role) arguments.insert(arguments.end(), {"--as", *role.role});
  if (model.dims != 0) arguments.insert(arguments.end(), {"--dims", fmt::format("{}", model.dims)});
  if (!model.pooling.empty()) arguments.insert(arguments.end(), {"--pooling", model.pooling});
  if (model.normalize) arguments.emplace_back("--normalize");
  if (model.top_k > 0) {
    arguments.insert(arguments.end(), {"--top-k", fmt::format("{}", model.top_k)});
  }
  if (model.batch_tokens != 0) {
    arguments.insert(arguments.end(), {"--batch-tokens", fmt::format("{}", model.batch_tokens)});
  }
  return arguments;
}

meters::Measurement ProfileCommand::measure(MeteredModel& metered) const {
  if (meter == "none") return {.meter = meter};
  if (meter == "replay") return measure_with_replay(metered);
  if (meter != "callgrind") return measure_here(meter, events, metered, runs);
  return measure_with_callgrind(callgrind, arguments_of_child(metered), metered.session());
}

void ProfileCommand::check_meter(const CLI::App& command) const {
  const std::string got = fmt::format("got --meter {}, expected ", meter);
  if (meter != "hardware") require_none(command, {"--events"}, got + "hardware");
  if (meter != "callgrind") {
    require_none(command, {"--callgrind-d1", "--callgrind-ll", "--cold"}, got + "callgrind");
  }
  if (meter != "time" && meter != "hardware") {
    require_none(command, {"--runs"}, got + "time or hardware");
  }
}

void ProfileCommand::run(const CLI::App& command) const {
  check_meter(command);
  against.check(command, model);
  const bool is_callgrind = meter == "callgrind";
  if (is_callgrind && model.threads > 1) {
    throw UsageError(
        "--meter callgrind: got --threads above 1, expected 1: Valgrind simulates one");
  }
  if (is_callgrind && model.allow_onednn) {
    throw UsageError("--meter callgrind: got --allow-onednn, expected Tessera's own linears");
  }
  const bool is_replay = meter == "replay";
  if (is_replay && (model.threads > 1 || model.allow_onednn)) {
    throw UsageError(fmt::format(
        "--meter replay: got {}, expected one thread of Tessera's own kernels",
        model.allow_onednn ? "--allow-onednn" : fmt::format("--threads {}", model.threads)));
  }
  std::vector<std::string> read;
  for (const std::string& file : {events, model.plan}) {
    if (!file.empty()) read.push_back(file);
  }
  require_distinct({{"-o", output}}, read, model.model);
  OutputFile out(output);  // first: what cannot be written is said before anything is measured
  MeteredOptions options;
  if (is_callgrind) options = {.most_isa = Isa::avx2, .threads = 1};
  ModelFlags flags = model;
  if (is_replay) {
    const std::optional<Isa> asked = isa_from_string(model.isa);
    options = {.threads = 1, .replayed = asked ? *asked : isa_of(model)};
    if (asked) flags.isa.clear();  // whether this CPU has it or not
  }
  if (!is_measured) options.rates = MeteredOptions::Rates::resolved;
  if (under_callgrind >= 0) {
    options.rates = MeteredOptions::Rates::nominal;
    options.plan_is_of_here = true;
  }
  const auto package = role.open_route(model);
  if (against.is_given()) {
    const Against compared =
        against.compare(model, package, batch.shape(package->program), options.rates);
    out.write(is_json ? against_json(compared) : against_text(compared));
    out.finish();
    return;
  }
  const std::vector<std::string> outputs{main_output(package->program)};
  model.require_sparse_for_top_k(*package, outputs);
  MeteredModel metered(package, flags.encoder_options(outputs), batch.shape(package->program),
                       options);
  if (under_callgrind >= 0) {
    run_for_callgrind(metered, static_cast<std::size_t>(under_callgrind));
    return;
  }
  if (!is_replay && !is_callgrind) {
    EncoderOptions asked = flags.encoder_options(outputs);
    asked.session.rates = metered.rates();
    advised(flags, *package, std::move(asked));
  }
  std::optional<Error> failure;  // of the meter: the rest of the report is printed all the same
  meters::Measurement measured{.meter = meter};
  try {
    measured = measure(metered);
  } catch (const Error& e) {
    failure = e;
    measured.notes.emplace_back(e.what());
  }
  if (is_callgrind && isa_of(model) > Isa::avx2) {
    measured.notes.emplace_back("planned and run at avx2: Valgrind knows no AVX-512");
  }
  const meters::Profile profile = meters::make_profile(metered.name(), metered.report(), machine(),
                                                       metered.rates(), std::move(measured));
  out.write(is_json ? meters::profile_json(profile) : meters::profile_text(profile));
  out.finish();
  if (failure) throw *failure;
}

void ProfileCommand::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_tower_to(command);
  role.add_route_to(command);
  model.add_embedding_to(command);
  model.add_top_k_to(command);
  model.add_plan_to(command);
  batch.add_to(command);
  against.add_to(command);
  add_choice(command, "--meter", meter, "METER", kMeters,
             fmt::format("What measures: {} (default: time)", fmt::join(kMeters, ", ")));
  add_count(command, "--runs", runs, "Runs that are measured (default: 10)", 100000);
  add_option(command, "--events", events, "FILE",
             "Event sets for --meter hardware (docs/PROFILING.md), in place of the known ones");
  add_option(command, "--callgrind-d1", callgrind.d1, "CACHE",
             "Simulated L1: BYTES,WAYS,LINE (default: this machine's)");
  add_option(command, "--callgrind-ll", callgrind.ll, "CACHE",
             "Simulated last level: l2, l3, or BYTES,WAYS,LINE in place of L2 (default: l2)");
  command.add_flag("--cold", callgrind.is_cold,
                   "Callgrind: each op alone, as the plan prices it, not after the one before");
  command.add_option("--under-callgrind", under_callgrind)->group("");
  command.add_flag("--measure,!--no-measure", is_measured,
                   "Measure this machine's rates once, in two seconds (default)");
  command.add_flag("--json", is_json, "One JSON object");
  add_option(command, "-o,--output", output, "FILE", "Where to write ('-' or none: stdout)");
  command.footer(
      "time       wall time of each op, the median of --runs\n"
      "hardware   the CPU's own counters (perf_event_open)\n"
      "callgrind  caches as Valgrind simulates them, AVX2 at most, one thread, one run; minutes "
      "for "
      "large models\n"
      "replay     simulated caches of this machine, fed by the walk of any --isa; one thread, the "
      "second run\n"
      "none       predictions alone\n"
      "A meter that cannot run here says why; the rest of the report is printed, and the exit "
      "status is 1.\n"
      "With --against nothing is metered: docs/PROFILING.md, Where accuracy goes.\n"
      "Token ids and pixels are pseudo-random, the same in every process.");
}

}  // namespace

void add_profile(CLI::App& root) {
  add_command<ProfileCommand>(
      root, "profile",
      "What a plan predicts beside what a meter measures, op by op; or where accuracy goes");
}

}  // namespace tessera::cli
