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
#include "tessera/cli/failure.hpp"
#include "tessera/cli/metered_model.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/profile_meters.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

const std::vector<std::string> kMeters{"time", "hardware", "callgrind", "replay", "none"};

struct ProfileCommand {
  ModelFlags model;
  Index rows = 128;
  Index sequences = 0;  // 0: not given
  Index runs = 10;
  std::string meter = "time", events, output = "-";
  CallgrindFlags callgrind;
  bool is_json = false, is_measured = true;
  Index under_callgrind = -1;  // started by measure_with_callgrind(): bytes to evict between ops

  void run() const;

 private:
  meters::Measurement measure(MeteredModel& metered) const;
  std::vector<std::string> arguments_of_child(const MeteredModel& metered) const;
};

/// What makes this binary do the same under Valgrind, on one thread.
std::vector<std::string> ProfileCommand::arguments_of_child(const MeteredModel& metered) const {
  std::vector<std::string> arguments{"profile",     model.model,
                                     "--rows",      fmt::format("{}", rows),
                                     "--sequences", fmt::format("{}", metered.sequences()),
                                     "--threads",   "1",
                                     "--isa",       metered.session().plan().identity.isa};
  if (!model.architecture.empty()) {
    arguments.insert(arguments.end(), {"--class", model.architecture});
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

void ProfileCommand::run() const {
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
  OutputFile out(output);  // first: what cannot be written is said before anything is measured
  MeteredOptions options;
  if (is_callgrind) options = {.most_isa = Isa::avx2, .threads = 1};
  ModelFlags flags = model;
  if (is_replay) {
    const std::optional<Isa> asked = isa_from_string(model.isa);
    options = {.threads = 1, .replayed = asked ? *asked : resolve_isa({})};
    if (asked) flags.isa.clear();  // whether this CPU has it or not
  }
  if (!is_measured) options.rates = MeteredOptions::Rates::resolved;
  if (under_callgrind >= 0) {
    options.rates = MeteredOptions::Rates::nominal;
    options.plan_is_of_here = true;
  }
  MeteredModel metered(flags, rows, sequences, options);
  if (under_callgrind >= 0) {
    run_for_callgrind(metered, static_cast<std::size_t>(under_callgrind));
    return;
  }
  std::optional<Error> failure;  // of the meter: the rest of the report is printed all the same
  meters::Measurement measured{.meter = meter};
  try {
    measured = measure(metered);
  } catch (const Error& e) {
    failure = e;
    measured.notes.emplace_back(e.what());
  }
  if (is_callgrind && resolve_isa(model.encoder_options({}).isa) > Isa::avx2) {
    measured.notes.emplace_back("planned and run at avx2: Valgrind knows no AVX-512");
  }
  const meters::Profile profile = meters::make_profile(metered.name(), metered.report(), machine(),
                                                       metered.rates(), std::move(measured));
  out.write(is_json ? meters::profile_json(profile) : meters::profile_text(profile));
  out.finish();
  if (failure) throw *failure;
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
  command
      ->add_option("--meter", flags->meter,
                   fmt::format("What measures: {} (default: time)", fmt::join(kMeters, ", ")))
      ->check(one_of(kMeters))
      ->type_name("METER");
  command->add_option("--runs", flags->runs, "Runs that are measured (default: 10)")
      ->check(integer_between(1, 100000))
      ->type_name("N");
  command
      ->add_option(
          "--events", flags->events,
          "Event sets for --meter hardware (docs/PROFILING.md), in place of the known ones")
      ->type_name("FILE");
  command
      ->add_option("--callgrind-d1", flags->callgrind.d1,
                   "Simulated L1: BYTES,WAYS,LINE (default: this machine's)")
      ->type_name("CACHE");
  command
      ->add_option("--callgrind-ll", flags->callgrind.ll,
                   "Simulated last level: l2, l3, or BYTES,WAYS,LINE in place of L2 (default: l2)")
      ->type_name("CACHE");
  command->add_flag("--cold", flags->callgrind.is_cold,
                    "Callgrind: each op alone, as the plan prices it, not after the one before");
  command->add_option("--under-callgrind", flags->under_callgrind)->group("");
  command->add_flag("--measure,!--no-measure", flags->is_measured,
                    "Measure this machine's rates once, in two seconds (default)");
  command->add_flag("--json", flags->is_json, "One JSON object");
  command->add_option("-o,--output", flags->output, "Where to write ('-' or none: stdout)")
      ->type_name("FILE");
  command->footer(
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
      "Token ids and pixels are pseudo-random, the same in every process.");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
