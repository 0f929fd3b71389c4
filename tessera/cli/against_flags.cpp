// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/against_flags.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"

namespace tessera::cli {

void AgainstFlags::add_to(CLI::App& command) {
  std::vector<std::string> names;
  for (const PrecisionOption option : kPrecisionOptions) names.emplace_back(to_string(option));
  add_choice(command, "--against", precision, "NAME", names,
             fmt::format("Nothing is timed: run the batch in --precision and in this one, and say "
                         "how far the state of each layer and the outputs are apart: {}",
                         fmt::join(names, ", ")));
  add_option(command, "--output-name", outputs, "NAME",
             "With --against: compute this output; of several given once for each, or with commas "
             "between them (default: as without --against)")
      ->delimiter(',')
      ->allow_extra_args(false);
}

void AgainstFlags::check(const CLI::App& command, const ModelFlags& model) const {
  if (!is_given()) {
    require_none(command, {"--output-name"}, "got it without --against, expected --against too");
    return;
  }
  const std::string one =
      model.precision.empty() ? to_string(PrecisionOption::fp32) : model.precision;
  if (one == precision) {
    throw UsageError(fmt::format("--against: got {}, expected another than --precision {}{}",
                                 precision, one, model.precision.empty() ? ", the default" : ""));
  }
  const std::string got = fmt::format("got --against {}, expected none: ", precision);
  require_none(command,
               {"--meter", "--runs", "--events", "--callgrind-d1", "--callgrind-ll", "--cold"},
               got + "nothing is metered");
  require_none(command, {"--plan"}, got + "a plan is of one precision");
  require_none(command, {"--batch-tokens"}, got + "there is one batch, of --rows");
  require_none(command, {"--top-k"}, got + "all columns are compared");
  for (auto name = outputs.begin(); name != outputs.end(); ++name) {
    if (std::find(outputs.begin(), name, *name) == name) continue;
    throw UsageError(fmt::format("--output-name: got {} twice, expected each once", *name));
  }
}

Against AgainstFlags::compare(const ModelFlags& model,
                              const std::shared_ptr<const models::Package>& package,
                              BatchShape shape, MeteredOptions::Rates rates) const {
  ModelFlags other = model;
  other.precision = precision;
  const std::vector<std::string> computed =
      outputs.empty() ? std::vector{main_output(package->program)} : outputs;
  return make_against(package, model.encoder_options(computed),
                      other.encoder_options(computed).precision, shape, rates);
}

}  // namespace tessera::cli
