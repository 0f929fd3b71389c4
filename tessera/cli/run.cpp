// SPDX-License-Identifier: Apache-2.0
// tessera run: the reference's padded tensors in, its outputs out, for people who compare.
//
//   in (B,T): input_ids, attention_mask, token_type_ids, position_ids
//     ragged batches, Session, scatter
//   out: last_hidden_state (B,T,H), pooler_output (B,H), logits, hidden_states.N (B,T,H)
//
// Masked rows of the outputs are zero.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "models/reference_batch.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/cli/reference_input.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

// Without --batch-tokens, the widest output of one batch takes about this many floats (64 MiB).
constexpr Index kOutputFloats = Index{1} << 24;

struct Run {
  ModelFlags model;
  std::string input, output;
  bool with_hidden_states = false;

  void run() const;
};

// The outputs that the reference's class returns, and last_hidden_state.
std::vector<std::string> wanted_outputs(const models::Package& package, bool with_hidden_states) {
  std::vector<std::string> names;
  for (const Output& output : package.program.outputs) {
    if (output.name == "embedding") continue;
    if (output.name == "pooler_output" && package.task != models::Task::features) continue;
    if (output.name.starts_with("hidden_states.") && !with_hidden_states) continue;
    names.push_back(output.name);
  }
  return names;
}

// An output in the reference's shape, zeros where nothing is computed.
struct Assembled {
  std::string name;
  std::vector<std::int64_t> shape;
  Index width = 0;
  std::vector<float> values;
};

std::vector<Assembled> make_outputs(const TextEncoder& encoder, const ReferenceInput& input) {
  std::vector<Assembled> outputs;
  for (std::size_t i = 0; i < encoder.options().outputs.size(); ++i) {
    Assembled output;
    output.name = encoder.options().outputs[i];
    output.width = encoder.width(i);
    output.shape = {input.sequences};
    if (encoder.is_per_token(i)) output.shape.push_back(input.padded_tokens);
    // ELECTRA's discriminator: one logit per token, without an axis for it.
    const bool is_squeezed =
        output.name == "logits" && encoder.package().task == models::Task::discriminator;
    if (!is_squeezed) output.shape.push_back(output.width);
    const Index rows = input.sequences * (encoder.is_per_token(i) ? input.padded_tokens : 1);
    output.values.resize(static_cast<std::size_t>(rows * output.width));
    outputs.push_back(std::move(output));
  }
  return outputs;
}

void Run::run() const {
  check_replaceable(output);
  const std::shared_ptr<const models::Package> package = model.open_package();
  const TokenSpec& spec = package->program.tokens;
  const ReferenceInput reference = ReferenceInput::open(input, spec, package->architecture);
  EncoderOptions options = model.encoder_options(wanted_outputs(*package, with_hidden_states));
  if (model.batch_tokens == 0) {
    Index widest = 1;
    for (const std::string& name : options.outputs) {
      const auto found = static_cast<std::size_t>(package->program.find_output(name));
      const ValueId value = package->program.outputs[found].value;
      widest = std::max(widest, package->program.values[static_cast<std::size_t>(value)].width);
    }
    options.batch_tokens = std::clamp<Index>(kOutputFloats / widest, 64, options.batch_tokens);
  }
  TextEncoder encoder(package, std::move(options));
  std::vector<Assembled> outputs = make_outputs(encoder, reference);

  Progress progress("computing");
  const Batch all = reference.batch.view();
  encoder.run(
      reference.tokens,
      [&](std::size_t s, Results results) {
        for (std::size_t i = 0; i < results.size(); ++i) {
          Assembled& to = outputs[i];
          for (Index r = 0; r < results[i].rows; ++r) {
            Index target = static_cast<Index>(s);
            if (encoder.is_per_token(i)) {
              const Index row = all.offsets[s] + r;
              if (reference.batch.is_query_only(row)) continue;
              target = reference.batch.padded_index(row);
            }
            const std::span<const float> from = results[i].row(r);
            std::copy(from.begin(), from.end(), to.values.begin() + target * to.width);
          }
        }
      },
      [&](std::size_t done, std::size_t total) {
        progress.update(done, static_cast<double>(done) / static_cast<double>(total));
      });
  progress.clear();

  std::vector<TensorToWrite> tensors;
  for (const Assembled& from : outputs) {
    tensors.push_back({.name = from.name,
                       .type = StoredType::f32,
                       .shape = from.shape,
                       .data = std::as_bytes(std::span(from.values))});
  }
  write_safetensors(output, tensors);
}

}  // namespace

void add_run(CLI::App& root) {
  auto* command =
      root.add_subcommand("run", "The reference's tensors in, its outputs out, to compare");
  auto flags = std::make_shared<Run>();
  flags->model.add_to(*command);
  flags->model.add_plan_to(*command);
  command
      ->add_option("--input", flags->input,
                   "safetensors: input_ids (B,T), attention_mask, token_type_ids, position_ids")
      ->required()
      ->type_name("FILE");
  command->add_option("--output", flags->output, "safetensors, replaced in one step")
      ->required()
      ->type_name("FILE");
  command->add_flag("--hidden-states", flags->with_hidden_states,
                    "Also hidden_states.0 (embeddings) to hidden_states.N");
  command->footer(
      "Writes last_hidden_state and, as the class has them, pooler_output, logits,\n"
      "prediction_logits and seq_relationship_logits, as F32 in the reference's padded shapes.\n"
      "Rows whose attention_mask is 0 are zero.\n"
      "Example:\n"
      "  tessera run model --input in.safetensors --output out.safetensors --hidden-states");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
