// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/advice.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "runtime/machine/machine.hpp"
#include "tessera/cli/say.hpp"
#include "tessera/pipeline/precision_costs.hpp"

namespace tessera::cli {
namespace {

bool has_outputs(const models::Package& package, const EncoderOptions& options) {
  const auto& names = options.session.outputs;
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return package.program.find_output(name) != kNone;  // the encoder says which are missing
  });
}

/// fp32 is what nobody chose, and nothing else was asked for that another precision would change.
bool is_by_default(const ModelFlags& flags) {
  return flags.precision.empty() && flags.plan.empty() && !flags.allow_onednn;
}

}  // namespace

bool has_reader() {
  struct stat out {};
  const bool is_piped = ::fstat(STDOUT_FILENO, &out) == 0 && S_ISFIFO(out.st_mode);
  return ::isatty(STDERR_FILENO) == 1 && !is_piped;
}

std::optional<double> gain_of_auto(const models::Package& package, const EncoderOptions& options) {
  const PrecisionChoice choice = choose_precision(PrecisionOption::automatic, package, [&] {
    return rates_of_bf16(options.model.isa, *options.session.rates);
  });
  if (choice.precision == Precision::f32) return std::nullopt;
  const BatchShape shape = BatchFlags{}.shape(package.program);
  ModelOptions model = options.model;
  model.outputs = options.session.outputs;
  SessionOptions session = options.session;
  session.max_rows = std::max(options.batch_tokens, shape.rows);  // as `tessera plan`
  session.max_sequences = std::clamp(options.batch_sequences, shape.sequences, session.max_rows);
  const auto seconds = [&](Precision precision) -> std::optional<double> {
    const auto cost = cost_in(precision, package, model, session, shape.rows, shape.sequences);
    return cost ? std::optional(cost->seconds) : std::nullopt;
  };
  const std::optional<double> now = seconds(Precision::f32), then = seconds(choice.precision);
  if (!now || !then || *now < kWorthIt * *then) return std::nullopt;
  return *now / *then;
}

EncoderOptions advised(const ModelFlags& flags, const models::Package& package,
                       EncoderOptions options, bool is_quiet) {
  const bool may_gain = !is_quiet && is_by_default(flags) && has_reader();
  if (options.precision == PrecisionOption::fp32 && !may_gain) return options;
  if (!options.session.rates) {
    options.session.rates = resolve_rates(
        machine(), resolve_isa(options.model.isa, precision_to_ask(options.precision)));
  }
  warn_if_slower(options.precision, *options.session.rates);
  if (!may_gain || !has_outputs(package, options)) return options;
  if (const std::optional<double> gain = gain_of_auto(package, options)) {
    say("tessera: --precision auto would be {:.2f} x as fast (predicted for {} rows; "
        "--precision fp32 silences this)\n",
        *gain, BatchFlags{}.shape(package.program).rows);
  }
  return options;
}

}  // namespace tessera::cli
