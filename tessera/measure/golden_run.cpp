// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/golden_run.hpp"

#include <utility>

#include "runtime/weights/safetensors.hpp"

namespace tessera {
namespace {

using Tensor = ReferenceOutput::Tensor;
using PackagePointer = std::shared_ptr<const models::Package>;

constexpr Index kRowsAtOnce = 512;

/// The outputs of one package among `names`, all of its where there are none.
std::vector<std::string> outputs_of(const models::Package& package, const TowerNames* tower,
                                    const std::vector<std::string>& names) {
  std::vector<std::string> outputs;
  if (names.empty()) {
    for (const Output& output : package.program.outputs) outputs.push_back(output.name);
    return outputs;
  }
  for (const std::string& name : names) {
    const std::optional<std::string> own = tower == nullptr ? name : tower->own(name);
    if (own) outputs.push_back(*own);
  }
  if (tower != nullptr) outputs.emplace_back("embedding");  // for the logits between the towers
  return outputs;
}

/// The number of the op that writes output `name`, and the name of the value.
std::pair<std::size_t, std::string> writer_in(const Program& program, const std::string& name) {
  const std::int32_t output = program.find_output(name);
  if (output == kNone) return {program.ops.size(), ""};
  const ValueId value = program.outputs[static_cast<std::size_t>(output)].value;
  std::size_t op = 0;
  while (op < program.ops.size() && output_of(program.ops[op]) != value) ++op;
  return {op, program.values[static_cast<std::size_t>(value)].name};
}

EncoderOptions encoder_options(Isa isa, Precision precision, int threads,
                               std::vector<std::string> outputs) {
  EncoderOptions options;
  options.batch_tokens = kRowsAtOnce;
  options.model.isa = isa;
  options.precision = precision == Precision::f32    ? PrecisionOption::fp32
                      : precision == Precision::bf16 ? PrecisionOption::bf16
                                                     : PrecisionOption::int8;
  options.session.threads = threads;
  options.session.outputs = std::move(outputs);
  return options;
}

std::vector<Tensor> of_texts(const PackagePointer& package, const std::string& file,
                             EncoderOptions options) {
  const ReferenceInput input = ReferenceInput::open(file, *package, ReferenceFile::with_others);
  TextEncoder encoder(package, std::move(options));
  ReferenceOutput outputs(encoder, input);
  encoder.run(input.tokens, [&](std::size_t s, Results results) { outputs.add(s, results); });
  return std::move(outputs.tensors());
}

std::vector<Tensor> of_images(const PackagePointer& package, const std::string& file,
                              EncoderOptions options) {
  const ReferenceImages images = golden_images(file, *package);
  ReferenceImageEncoder encoder(package, std::move(options));
  ReferenceOutput outputs(encoder, images);
  encoder.run(images, [&](std::size_t i, Results results) { outputs.add(i, results); });
  return std::move(outputs.tensors());
}

}  // namespace

std::optional<std::string> TowerNames::own(const std::string& name) const {
  if (name == projected) return name;
  if (!name.starts_with(prefix)) return std::nullopt;
  return name.substr(prefix.size());
}

const TowerNames& text_tower_names() {
  static const TowerNames names{"text_model_output.", "text_embeds"};
  return names;
}

const TowerNames& image_tower_names() {
  static const TowerNames names{"vision_model_output.", "image_embeds"};
  return names;
}

bool is_between_towers(const std::string& name) {
  return name == "logits_per_image" || name == "logits_per_text";
}

OutputWriter writer_of(const VerifiedModel& model, const std::string& name) {
  if (!model.has_towers()) {
    auto [op, value] = writer_in(model.any().program, name);
    return {.op = op, .value = std::move(value)};
  }
  int part = 0;
  for (const auto& [package, tower] : {std::pair(&model.images, &image_tower_names()),
                                       std::pair(&model.texts, &text_tower_names())}) {
    if (const auto own = tower->own(name)) {
      auto [op, value] = writer_in((*package)->program, *own);
      return {.part = part, .op = op, .value = std::move(value)};
    }
    ++part;
  }
  if (is_between_towers(name)) return {.part = part, .value = name};
  return {.part = part, .value = {}};
}

ReferenceImages golden_images(const std::string& file, const models::Package& package) {
  const ImageSpec& spec = require_images(package.program);
  const SafetensorsFile tensors = SafetensorsFile::open(file);
  const StoredTensor* const pixels = tensors.find(kPixelValues);
  const bool is_native = pixels == nullptr || pixels->shape.size() != 4 ||
                         (pixels->shape[2] == spec.height && pixels->shape[3] == spec.width);
  return ReferenceImages::open(file, package, !is_native, ReferenceFile::with_others);
}

std::vector<Tensor> compute_outputs(const VerifiedModel& model, const std::string& file, Isa isa,
                                    Precision precision, int threads,
                                    const std::vector<std::string>& names) {
  std::vector<Tensor> texts, images;
  if (model.images) {
    images = of_images(
        model.images, file,
        encoder_options(
            isa, precision, threads,
            outputs_of(*model.images, model.has_towers() ? &image_tower_names() : nullptr, names)));
  }
  if (model.texts) {
    texts = of_texts(
        model.texts, file,
        encoder_options(
            isa, precision, threads,
            outputs_of(*model.texts, model.has_towers() ? &text_tower_names() : nullptr, names)));
  }
  if (model.has_towers()) {
    return joined_towers(*model.texts->similarity, std::move(texts), std::move(images));
  }
  return model.texts ? std::move(texts) : std::move(images);
}

}  // namespace tessera
