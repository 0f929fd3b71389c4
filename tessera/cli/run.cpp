// SPDX-License-Identifier: Apache-2.0
// tessera run: the reference's padded tensors in, its outputs out, for people who compare.
//
//   in (B,T): input_ids, attention_mask, token_type_ids, position_ids
//     ragged batches, Session, scatter
//   in (B,C,H,W): pixel_values; or both, of a model with two towers
//   out: last_hidden_state (B,T,H), pooler_output (B,H), logits, hidden_states.N (B,T,H); of two
//     towers text_model_output. and vision_model_output. before them, and the logits between
//
// Masked rows of the outputs are zero.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "tessera/cli/advice.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/cli/role_flag.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/reference_images.hpp"
#include "tessera/pipeline/reference_tensors.hpp"

namespace tessera::cli {
namespace {

// Without --batch-tokens, the widest output of one batch takes about this many floats (64 MiB).
constexpr Index kOutputFloats = Index{1} << 24;

using Tensors = std::vector<ReferenceOutput::Tensor>;
using PackagePointer = std::shared_ptr<const models::Package>;

struct Run {
  ModelFlags model;
  RoleFlag role;
  std::string input, output;
  bool with_hidden_states = false, interpolates_positions = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;

 private:
  bool is_wanted(const models::Package& package, const std::string& output_name) const;
  /// `further`: an output beside those.
  EncoderOptions options_for(const models::Package& package, const std::string& further) const;
  Tensors run_texts(const PackagePointer& package, const std::string& further = "") const;
  Tensors run_images(const PackagePointer& package, const std::string& further = "") const;
  Tensors run_towers() const;
};

// The outputs that the reference's class returns, and last_hidden_state; an embedding where there is
// nothing else, as of static embeddings.
bool Run::is_wanted(const models::Package& package, const std::string& name) const {
  if (name == "embedding") return package.program.outputs.size() == 1;
  if (name == "pooler_output" && package.task != models::Task::features) return false;
  return with_hidden_states || !name.starts_with("hidden_states.");
}

EncoderOptions Run::options_for(const models::Package& package, const std::string& further) const {
  EncoderOptions options = model.encoder_options({});
  Index widest = 1;
  for (const Output& each : package.program.outputs) {
    if (!is_wanted(package, each.name) && each.name != further) continue;
    options.session.outputs.push_back(each.name);
    const Value& value = package.program.values[static_cast<std::size_t>(each.value)];
    widest = std::max(widest, value.width);
  }
  if (model.batch_tokens == 0) {
    options.batch_tokens = std::clamp<Index>(kOutputFloats / widest, 64, options.batch_tokens);
  }
  return advised(model, package, std::move(options));
}

Tensors Run::run_texts(const PackagePointer& package, const std::string& further) const {
  const ReferenceInput reference = ReferenceInput::open(input, *package);
  TextEncoder encoder(package, options_for(*package, further));
  ReferenceOutput outputs(encoder, reference);
  Progress progress("computing");
  encoder.run(
      reference.tokens, [&](std::size_t s, Results results) { outputs.add(s, results); },
      progress.of_known());
  progress.clear();
  return std::move(outputs.tensors());
}

Tensors Run::run_images(const PackagePointer& package, const std::string& further) const {
  const ReferenceImages reference = ReferenceImages::open(input, *package, interpolates_positions);
  ReferenceImageEncoder encoder(package, options_for(*package, further));
  ReferenceOutput outputs(encoder, reference);
  Progress progress("computing");
  encoder.run(
      reference, [&](std::size_t i, Results results) { outputs.add(i, results); },
      progress.of_known());
  progress.clear();
  return std::move(outputs.tensors());
}

Tensors Run::run_towers() const {
  const PackagePointer text = model.open_package(models::Tower::text),
                       image = model.open_package(models::Tower::image);
  return joined_towers(*text->similarity, run_texts(text, "embedding"),
                       run_images(image, "embedding"));
}

void Run::run(const CLI::App& command) const {
  require_distinct({{"--output", output}}, model.with_plan({input}), model.model);
  check_replaceable(output);
  const ReferenceKinds kinds = ReferenceKinds::of(input);
  if (kinds.has_texts && kinds.has_images) {
    const PackagePointer either = role.open_route(model, models::Tower::text);
    if (either->similarity) return write_tensors(output, run_towers());
  }
  const PackagePointer package =
      role.open_route(model, kinds.has_images && !kinds.has_texts ? models::Tower::image
                                                                  : models::Tower::automatic);
  require_kind(command, *package);
  write_tensors(output,
                package->program.images() != nullptr ? run_images(package) : run_texts(package));
}

void Run::add_to(CLI::App& command) {
  model.add_to(command);
  role.add_route_to(command);
  model.add_memory_to(command);
  model.add_plan_to(command);
  add_option(command, "--input", input, "FILE",
             "safetensors: input_ids (B,T), or (B,choices,T) of multiple choice, attention_mask, "
             "token_type_ids, position_ids; or pixel_values (B,C,H,W) of images")
      ->required();
  add_option(command, "--output", output, "FILE", "safetensors, replaced in one step")->required();
  command.add_flag("--hidden-states", with_hidden_states,
                   "Also hidden_states.0 (embeddings) to hidden_states.N");
  command.add_flag("--interpolate-positions", interpolates_positions,
                   "Images of another size than the model's own, as interpolate_pos_encoding=True");
  command.footer(
      "Writes last_hidden_state and, as the class has them, pooler_output, logits,\n"
      "prediction_logits, seq_relationship_logits, start_logits and end_logits, as F32 in the\n"
      "reference's padded shapes; of static embeddings, which have nothing else, embedding.\n"
      "Rows whose attention_mask is 0 are zero.\n"
      "Example:\n"
      "  tessera run model --input in.safetensors --output out.safetensors --hidden-states");
}

}  // namespace

void add_run(CLI::App& root) {
  add_command<Run>(root, "run", "The reference's tensors in, its outputs out, to compare");
}

}  // namespace tessera::cli
