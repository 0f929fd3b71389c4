// SPDX-License-Identifier: Apache-2.0
// tessera run: the reference's padded tensors in, its outputs out, for people who compare.
//
//   in (B,T): input_ids, attention_mask, token_type_ids, position_ids
//     ragged batches, Session, scatter
//   out: last_hidden_state (B,T,H), pooler_output (B,H), logits, hidden_states.N (B,T,H)
//
// Masked rows of the outputs are zero.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "tessera/cli/advice.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/reference_tensors.hpp"

namespace tessera::cli {
namespace {

// Without --batch-tokens, the widest output of one batch takes about this many floats (64 MiB).
constexpr Index kOutputFloats = Index{1} << 24;

struct Run {
  ModelFlags model;
  std::string input, output;
  bool with_hidden_states = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;

 private:
  bool is_wanted(const models::Package& package, const std::string& output_name) const;
};

// The outputs that the reference's class returns, and last_hidden_state.
bool Run::is_wanted(const models::Package& package, const std::string& name) const {
  if (name == "embedding") return false;
  if (name == "pooler_output" && package.task != models::Task::features) return false;
  return with_hidden_states || !name.starts_with("hidden_states.");
}

void Run::run(const CLI::App& /*command*/) const {
  require_distinct({{"--output", output}}, model.with_plan({input}), model.model);
  check_replaceable(output);
  const auto package = model.open_package();
  const ReferenceInput reference = ReferenceInput::open(input, *package);
  EncoderOptions options = model.encoder_options({});
  Index widest = 1;
  for (const Output& each : package->program.outputs) {
    if (!is_wanted(*package, each.name)) continue;
    options.session.outputs.push_back(each.name);
    const Value& value = package->program.values[static_cast<std::size_t>(each.value)];
    widest = std::max(widest, value.width);
  }
  if (model.batch_tokens == 0) {
    options.batch_tokens = std::clamp<Index>(kOutputFloats / widest, 64, options.batch_tokens);
  }
  TextEncoder encoder(package, advised(model, *package, std::move(options)));
  ReferenceOutput outputs(encoder, reference);
  Progress progress("computing");
  encoder.run(
      reference.tokens, [&](std::size_t s, Results results) { outputs.add(s, results); },
      progress.of_known());
  progress.clear();
  outputs.write(output);
}

void Run::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_memory_to(command);
  model.add_plan_to(command);
  add_option(command, "--input", input, "FILE",
             "safetensors: input_ids (B,T), or (B,choices,T) of multiple choice, attention_mask, "
             "token_type_ids, position_ids")
      ->required();
  add_option(command, "--output", output, "FILE", "safetensors, replaced in one step")->required();
  command.add_flag("--hidden-states", with_hidden_states,
                   "Also hidden_states.0 (embeddings) to hidden_states.N");
  command.footer(
      "Writes last_hidden_state and, as the class has them, pooler_output, logits,\n"
      "prediction_logits, seq_relationship_logits, start_logits and end_logits, as F32 in the\n"
      "reference's padded shapes.\n"
      "Rows whose attention_mask is 0 are zero.\n"
      "Example:\n"
      "  tessera run model --input in.safetensors --output out.safetensors --hidden-states");
}

}  // namespace

void add_run(CLI::App& root) {
  add_command<Run>(root, "run", "The reference's tensors in, its outputs out, to compare");
}

}  // namespace tessera::cli
