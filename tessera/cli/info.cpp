// SPDX-License-Identifier: Apache-2.0
// tessera info: what a model directory is, and what computing it takes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <iterator>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tessera/cli/json.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct Info {
  ModelFlags model;
  bool is_json = false;

  void run() const;
};

// One line of the answer. `json` is a JSON value; `text` is for people.
struct Fact {
  std::string key, text, json;
};

class Facts {
 public:
  void add(std::string key, std::string_view value) {
    std::string json;
    append_json_string(json, value);
    facts_.push_back({std::move(key), std::string(value), std::move(json)});
  }
  void add(std::string key, std::size_t value) {
    const std::string digits = std::to_string(value);
    facts_.push_back({std::move(key), digits, digits});
  }
  void add_bytes(std::string key, std::size_t value) {
    std::string text =
        fmt::format("{} bytes ({:.1f} MiB)", value, static_cast<double>(value) / 0x1p20);
    facts_.push_back({std::move(key), std::move(text), std::to_string(value)});
  }
  void add(std::string key, const std::vector<std::string>& values) {
    std::string json = "[";
    for (const std::string& value : values) {
      if (json.size() > 1) json += ", ";
      append_json_string(json, value);
    }
    facts_.push_back({std::move(key), fmt::format("{}", fmt::join(values, ", ")), json + "]"});
  }

  std::string as_text() const {
    std::size_t width = 0;
    for (const Fact& fact : facts_) width = std::max(width, fact.key.size());
    std::string out;
    for (const Fact& fact : facts_) {
      fmt::format_to(std::back_inserter(out), "{:<{}}  {}\n", fact.key, width, fact.text);
    }
    return out;
  }
  std::string as_json() const {
    std::string out = "{";
    for (const Fact& fact : facts_) {
      if (out.size() > 1) out += ", ";
      append_json_string(out, fact.key);
      out += ": " + fact.json;
    }
    return out + "}\n";
  }

 private:
  std::vector<Fact> facts_;
};
// "F32 (103 tensors), I64 (1 tensor)"
std::string stored_types(const Checkpoint& checkpoint) {
  std::map<std::string, std::size_t> counts;
  for (const StoredTensor* tensor : checkpoint.tensors()) ++counts[to_string(tensor->type)];
  std::vector<std::string> parts;
  for (const auto& [type, count] : counts) {
    parts.push_back(fmt::format("{} ({} tensor{})", type, count, count == 1 ? "" : "s"));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// hidden_states.0, …, hidden_states.12 as one entry.
std::vector<std::string> output_names(const Program& program) {
  std::vector<std::string> names;
  std::string last_state;
  for (const Output& output : program.outputs) {
    if (output.name.starts_with("hidden_states.")) {
      last_state = output.name;
    } else {
      const Value& value = program.values[static_cast<std::size_t>(output.value)];
      names.push_back(fmt::format("{} ({}, {})", output.name,
                                  value.space == kTokens        ? "tokens"
                                  : program.images.channels > 0 ? "images"
                                                                : "texts",
                                  value.width));
    }
  }
  if (!last_state.empty()) names.push_back("hidden_states.0 to " + last_state);
  return names;
}

std::string tokenizer_text(const models::Package& package) {
  if (!package.tokenizer) return "none: " + package.tokenizer_problem;
  const text::TokenizerInfo& info = package.tokenizer->info();
  std::string out =
      fmt::format("{} from {}, {} tokens", info.model, info.file, package.tokenizer->vocab_size());
  if (!info.normalizer.empty()) out += "; " + info.normalizer;
  return out;
}

void describe_images(const ImageSpec& images, Facts& facts) {
  facts.add("image_size", fmt::format("{} x {} (height x width)", images.height, images.width));
  facts.add("image_channels", static_cast<std::size_t>(images.channels));
  facts.add("patch_size", fmt::format("{} x {}", images.patch_height, images.patch_width));
  facts.add("tokens_per_image",
            fmt::format("{}: {} x {} patches, {} special", images.native_rows(), images.grid_rows(),
                        images.grid_cols(), images.special_tokens));
  facts.add("other_sizes", images.sizes == ImageSizes::native ? "none"
                           : images.sizes == ImageSizes::on_asking
                               ? "on asking, positions interpolated"
                               : "any, positions interpolated");
}

Facts describe(const models::Package& package, const TextEncoder& encoder) {
  const Model& model = encoder.model();
  const TokenSpec& tokens = package.program.tokens;
  const auto extent = [](Index value) { return static_cast<std::size_t>(value); };
  Facts facts;
  facts.add("directory", package.directory.string());
  facts.add("model_type", package.model_type);
  facts.add("architecture", package.architecture);
  facts.add("layers", extent(package.layers));
  facts.add("hidden", extent(package.hidden));
  facts.add("heads", extent(package.heads));
  facts.add("intermediate", extent(package.intermediate));
  facts.add("parameters", model.parameter_count());
  facts.add("stored_as", stored_types(*package.checkpoint));
  if (package.program.images.channels > 0) {
    describe_images(package.program.images, facts);
  } else {
    facts.add("vocabulary", extent(tokens.vocab_size));
    facts.add("token_types", extent(tokens.type_vocab_size));
    facts.add("max_tokens", extent(package.max_tokens));
    facts.add("position_table", extent(tokens.max_tokens));
    facts.add("tokenizer", tokenizer_text(package));
  }
  facts.add("outputs", output_names(package.program));
  if (!package.labels.empty()) facts.add("labels", package.labels);
  if (!package.problem_type.empty()) facts.add("problem_type", package.problem_type);
  if (!package.embedding_description.empty()) {
    facts.add("embedding",
              fmt::format("{}{}", package.embedding_description,
                          package.embedding_from_files ? "" : " (default, no files say)"));
  }
  std::vector<std::string> prompts;
  for (const auto& [name, prompt] : package.prompts) prompts.push_back(name);
  if (!prompts.empty()) facts.add("prompts", prompts);
  facts.add("instruction_set", to_string(model.isa()));
  facts.add("computes", encoder.options().outputs.front());
  facts.add("batch_tokens", extent(encoder.options().batch_tokens));
  facts.add("batch_sequences", extent(encoder.options().batch_sequences));
  facts.add_bytes("weights_packed_bytes", model.packed_bytes());
  facts.add_bytes("weights_mapped_bytes", model.mapped_bytes());
  facts.add_bytes("arena_bytes",
                  encoder.arena_bytes(package.program.images.channels > 0 ? package.max_tokens
                                                                          : tokens.max_tokens));
  return facts;
}

void Info::run() const {
  const std::shared_ptr<const models::Package> package = model.open_package();
  TextEncoder encoder(package, model.encoder_options({main_output(package->program)}));
  OutputFile out("-");
  const Facts facts = describe(*package, encoder);
  out.write(is_json ? facts.as_json() : facts.as_text());
  out.finish();
}

}  // namespace

void add_info(CLI::App& root) {
  auto* command =
      root.add_subcommand("info", "Architecture, parameters, types, and memory of a model");
  auto flags = std::make_shared<Info>();
  flags->model.add_to(*command);
  command->add_flag("--json", flags->is_json, "One JSON object");
  command->footer(
      "The memory of a run is known before it: weights_packed_bytes are held,\n"
      "weights_mapped_bytes are read in place from the file, and arena_bytes are the most that\n"
      "batches of batch_tokens tokens take.");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
