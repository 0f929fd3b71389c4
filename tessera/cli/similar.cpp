// SPDX-License-Identifier: Apache-2.0
// tessera similar: how well texts fit images, by a model with an encoder for each (CLIP, SigLIP).
//
//   logit(i, t) = exp(scale)·⟨image_i, text_t⟩ + bias
//   probability = softmax over the texts of an image (CLIP), or σ(logit) of each pair (SigLIP)
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "tessera/cli/advice.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/image_input.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/answers.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct Similar {
  ModelFlags model;
  ImageFlags images;
  InputFlags input;  // files: images
  std::vector<std::string> texts;
  std::string format;  // empty: not given
  std::string output = "-";

  void add_to(CLI::App& command);
  void run(const CLI::App& command);

 private:
  std::shared_ptr<const models::Package> open_tower(models::Tower tower) const;
  std::vector<TokenSequence> sequences(const CLI::App& command,
                                       const models::Package& package) const;
};

std::shared_ptr<const models::Package> Similar::open_tower(models::Tower tower) const {
  auto package = model.open_package(tower);
  if (package->similarity) return package;
  throw Error(ErrorCode::unsupported_model,
              fmt::format("{}: {} compares no texts with images, expected CLIPModel or SiglipModel",
                          model.model, package->architecture));
}

std::vector<TokenSequence> Similar::sequences(const CLI::App& command,
                                              const models::Package& package) const {
  const Preparer preparer = make_preparer(command, package, {.is_ids = input.is_ids}, {});
  std::vector<TokenSequence> sequences;
  const auto where = [](std::size_t i) { return fmt::format("--text {}", i + 1); };
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Record record{.where = where(i), .text = texts[i], .pair = {}, .ids = {}, .type_ids = {}};
    if (input.is_ids) about(record.where, [&] { record.ids = parse_ids(texts[i]); });
    sequences.push_back(preparer.prepare(record).sequence);
  }
  about_sequences(
      where, [&] { check_sequences(package.program, std::span<const TokenSequence>(sequences)); });
  if (preparer.texts() != nullptr) say_what_was_cut("similar", *preparer.texts());
  return sequences;
}

// What the two encoders are compared by, of length 1. The "embedding" of a directory of
// sentence-transformers is of the length that the projection gives it.
std::string compared_output(const models::Package& package) {
  for (const char* name : {"image_embeds", "text_embeds"}) {
    if (package.program.find_output(name) != kNone) return name;
  }
  return "embedding";
}

void Similar::run(const CLI::App& command) {
  format = format_by_name(format, output, {"text", "jsonl"}, "text");
  require_distinct({{"-o", output}}, input.files, model.model);
  const auto text_package = open_tower(models::Tower::text);
  const auto image_package = open_tower(models::Tower::image);
  if (text_package->program.tokens() == nullptr || image_package->program.images() == nullptr) {
    throw UsageError(
        fmt::format("--class: {} has one encoder, expected a class with both", model.architecture));
  }
  const std::vector<TokenSequence> tokens = sequences(command, *text_package);
  const ImageList files = list_arguments(input.files, images, "similar");
  require_distinct({{"-o", output}}, files.names(), model.model);
  OutputFile out(output);

  std::vector<float> text_rows;  // (texts, D)
  Index width = 0;
  {
    TextEncoder encoder(text_package, model.encoder_options({compared_output(*text_package)}));
    width = encoder.width();
    text_rows.resize(tokens.size() * static_cast<std::size_t>(width));
    encoder.run(tokens, text_rows);
  }  // the two are never held together: each is within the memory cap
  // Said of the one that takes the time.
  ImageEncoder image_encoder(
      image_package,
      advised(model, *image_package, model.encoder_options({compared_output(*image_package)})),
      images.options);
  const TensorView<const float> text_view{
      .data = text_rows.data(), .rows = std::ssize(tokens), .cols = width, .stride = width};
  const models::Similarity& similarity = *image_package->similarity;
  std::vector<float> logits(tokens.size());
  const std::size_t failed =
      run_images(image_encoder, files, images, "similar", [&](std::size_t i, Results results) {
        models::logits_per_image(similarity, results[0], text_view, logits);
        const std::string path = files.paths[i].string();
        out.write(format == "jsonl" ? fits_json(path, texts, logits, similarity)
                                    : fits_text(path, texts, logits, similarity));
      });
  out.finish();
  require_all(failed, files);
}

void Similar::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_memory_to(command);
  add_option(command, "--image", input.files, "FILE...", "Image files and directories")->required();
  add_option(command, "--text", texts, "TEXT...", "Texts to compare each image with")->required();
  command.add_flag("--ids", input.is_ids,
                   "Each text is token ids between blanks or commas; needs no tokenizer");
  add_choice(command, "--format", format, "FORMAT", {"text", "jsonl"},
             "text (default: path, text, logit, probability between tabs), jsonl");
  add_output(command, output);
  images.add_to(command);
  command.footer(
      "The texts of an image come in the order of their probability: the softmax over the texts\n"
      "(CLIP), or each pair's own (SigLIP).\n"
      "Example:\n"
      "  tessera similar clip --image photos/ --text 'a photo of a cat' 'a photo of a dog'");
}

}  // namespace

void add_similar(CLI::App& root) {
  add_command<Similar>(root, "similar", "How well texts fit images (CLIP, SigLIP)");
}

}  // namespace tessera::cli
