// SPDX-License-Identifier: Apache-2.0
// tessera similar: how well texts fit images, by a model with an encoder for each (CLIP, SigLIP).
//
//   logit(i, t) = exp(scale)·⟨image_i, text_t⟩ + bias
//   probability = softmax over the texts of an image (CLIP), or σ(logit) of each pair (SigLIP)
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iterator>
#include <memory>
#include <vector>

#include "runtime/base/error.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/image_input.hpp"
#include "tessera/cli/json.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/records.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera::cli {
namespace {

struct Similar {
  ModelFlags model;
  ImageFlags images;
  std::vector<std::string> image_files, texts;
  bool is_ids = false;
  std::string format = "text";
  std::string output = "-";

  void run() const;
  std::vector<TokenSequence> sequences(const models::Package& package) const;
  std::string lines(const std::string& path, std::span<const float> logits,
                    const models::Similarity& similarity) const;
};

std::shared_ptr<const models::Package> open_tower(const ModelFlags& model, models::Tower tower) {
  auto package = std::make_shared<const models::Package>(
      models::open_package(model.model, {.tower = tower, .architecture = model.architecture}));
  if (package->similarity) return package;
  throw Error(ErrorCode::unsupported_model,
              fmt::format("{}: {} compares no texts with images, expected CLIPModel or SiglipModel",
                          model.model, package->architecture));
}

std::vector<TokenSequence> Similar::sequences(const models::Package& package) const {
  InputFlags input;
  input.is_ids = is_ids;
  const Preparer preparer(package, input, {});
  std::vector<TokenSequence> sequences;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Record record;
    record.where = fmt::format("--text {}", i + 1);
    if (is_ids) {
      try {
        record.ids = parse_ids(texts[i]);
      } catch (const Error& e) {
        throw Error(e.code(), record.where + ": " + e.what());
      }
    } else {
      record.text = texts[i];
    }
    sequences.push_back(preparer.prepare(record).sequence);
  }
  return sequences;
}

std::string Similar::lines(const std::string& path, std::span<const float> logits,
                           const models::Similarity& similarity) const {
  const std::vector<double> scores = probabilities(similarity, logits);
  const bool is_json = format == "jsonl";
  std::string out;
  if (is_json) {
    out = "{\"path\": ";
    append_json_string(out, path);
    out += ", \"texts\": [";
  }
  bool is_first = true;
  for (const std::size_t t : ranked(scores, scores.size())) {
    if (is_json) {
      out += is_first ? "{\"text\": " : ", {\"text\": ";
      append_json_string(out, texts[t]);
      out += ", \"logit\": ";
      append_json_float(out, logits[t]);
      out += ", \"probability\": ";
      append_json_float(out, static_cast<float>(scores[t]));
      out += '}';
    } else {
      fmt::format_to(std::back_inserter(out), "{}\t{}\t{:.4f}\t{:.6f}\n", path, texts[t], logits[t],
                     scores[t]);
    }
    is_first = false;
  }
  if (is_json) out += "]}\n";
  return out;
}

void Similar::run() const {
  const auto text_package = open_tower(model, models::Tower::text);
  const auto image_package = open_tower(model, models::Tower::image);
  if (text_package->program.images.channels > 0 || image_package->program.images.channels == 0) {
    throw UsageError(
        fmt::format("--class: {} has one encoder, expected a class with both", model.architecture));
  }
  const std::vector<TokenSequence> tokens = sequences(*text_package);
  ImageEncoder image_encoder(image_package, model.encoder_options({"embedding"}),
                             images.image_options());
  const ImageFiles inputs = list_images(image_files, images, "similar");
  OutputFile out(output);

  std::vector<float> text_rows;  // (texts, D)
  Index width = 0;
  {
    TextEncoder encoder(text_package, model.encoder_options({"embedding"}));
    width = encoder.width();
    text_rows.resize(tokens.size() * static_cast<std::size_t>(width));
    encoder.run(tokens, text_rows);
  }
  const TensorView<const float> text_view{
      .data = text_rows.data(), .rows = std::ssize(tokens), .cols = width, .stride = width};
  std::vector<float> logits(tokens.size());
  const std::size_t failed =
      run_images(image_encoder, inputs, images, "similar", [&](std::size_t i, Results results) {
        models::logits_per_image(*image_package->similarity, results[0], text_view, logits);
        out.write(lines(inputs.paths[i].string(), logits, *image_package->similarity));
      });
  out.finish();
  require_all(failed, inputs.paths.size() + inputs.unreadable);
}

}  // namespace

void add_similar(CLI::App& root) {
  auto* command = root.add_subcommand("similar", "How well texts fit images (CLIP, SigLIP)");
  auto flags = std::make_shared<Similar>();
  flags->model.add_to(*command);
  command->add_option("--image", flags->image_files, "Image files and directories")
      ->required()
      ->type_name("FILE...");
  command->add_option("--text", flags->texts, "Texts to compare each image with")
      ->required()
      ->type_name("TEXT...");
  command->add_flag("--ids", flags->is_ids,
                    "Each text is token ids between blanks or commas; needs no tokenizer");
  command
      ->add_option("--format", flags->format,
                   "text (default: path, text, logit, probability between tabs), jsonl")
      ->check(one_of({"text", "jsonl"}))
      ->type_name("FORMAT");
  command
      ->add_option("-o,--output", flags->output, "Write to FILE, which appears when it is complete")
      ->type_name("FILE");
  flags->images.add_to(*command);
  command->footer(
      "The texts of an image come in the order of their probability: the softmax over the texts\n"
      "(CLIP), or each pair's own (SigLIP).\n"
      "Example:\n"
      "  tessera similar clip --image photos/ --text 'a photo of a cat' 'a photo of a dog'");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
