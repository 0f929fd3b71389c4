// SPDX-License-Identifier: Apache-2.0
// tessera verify: the golden vectors of a checkpoint replayed here, or recorded.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <vector>

#include "models/hub_cache.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/session/level.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/role_flag.hpp"
#include "tessera/cli/say.hpp"
#include "tessera/measure/recording.hpp"
#include "tessera/measure/verification.hpp"
#include "tessera/pipeline/image_loader.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/records.hpp"

namespace tessera::cli {
namespace {

struct Verify {
  ModelFlags model;
  RoleFlag role;
  std::string against, output, texts;
  std::vector<std::string> images;
  double tolerance = 1;
  bool is_json = false, records = false, replaces = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;

 private:
  std::string beside() const;
  VerifyOptions options() const;
  VerifiedModel open(ReferenceKinds kinds, const std::string& route) const;
  VerifiedModel open_all() const;
  Verification verified(const GoldenVectors& vectors, const VerifyOptions& options) const;
  void record_here(const std::string& path) const;
  std::vector<GoldenText> read_texts() const;
  std::vector<image::RgbImage> read_images() const;
};

std::string Verify::beside() const {
  return (models::find_model(model.model) / kVectorsFile).string();
}

VerifyOptions Verify::options() const {
  VerifyOptions options{.threads = model.threads, .tolerance = tolerance};
  const EncoderOptions asked = model.encoder_options({});  // refuses a level that is not here
  options.isa = asked.model.isa;
  if (!model.precision.empty()) options.precision = precision_to_ask(asked.precision);
  return options;
}

VerifiedModel Verify::open(ReferenceKinds kinds, const std::string& route) const {
  RoleFlag asked = role;
  if (!asked.role && !route.empty()) asked.role = route;
  VerifiedModel opened;
  if (kinds.has_texts) {
    opened.texts = asked.open_route(model, models::Tower::text);
    require_tokens(opened.texts->program);
  }
  if (kinds.has_images) {
    opened.images = asked.open_route(model, models::Tower::image);
    require_images(opened.images->program);
  }
  if (opened.has_towers() && !opened.texts->similarity) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: got texts and images, expected one of them: the model has one "
                            "encoder",
                            against));
  }
  return opened;
}

/// With all that the model takes.
VerifiedModel Verify::open_all() const {
  const auto package = role.open_route(model);
  if (package->similarity) return open({.has_texts = true, .has_images = true}, "");
  const bool has_images = package->program.images() != nullptr;
  return open({.has_texts = !has_images, .has_images = has_images}, "");
}

Verification Verify::verified(const GoldenVectors& vectors, const VerifyOptions& options) const {
  return verify(open(vectors.kinds, vectors.route), vectors, options);
}

std::vector<GoldenText> Verify::read_texts() const {
  if (texts.empty()) return {};
  std::vector<GoldenText> read;
  RecordReader reader(texts, LineFormat::text);
  for (Record line; reader.next(line);) read.push_back({.text = line.text});
  if (!read.empty()) return read;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("--texts: {} has no lines, expected a text in each", texts));
}

std::vector<image::RgbImage> Verify::read_images() const {
  std::vector<std::filesystem::path> paths(images.begin(), images.end());
  const ImageFiles files(paths, {});
  std::vector<image::RgbImage> read(paths.size());
  std::vector<std::uint8_t> bytes;
  LoadTimes times;
  for (std::size_t i = 0; i < paths.size(); ++i) files.decode(i, bytes, read[i], times);
  return read;
}

void Verify::record_here(const std::string& path) const {
  const VerifiedModel opened = open_all();
  if (!opened.texts && !texts.empty()) {
    throw UsageError("--texts: got a model of images, expected --images");
  }
  if (!opened.images && !images.empty()) {
    throw UsageError("--images: got a model of texts, expected --texts");
  }
  if (opened.texts && !opened.texts->tokenizer) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}; expected a tokenizer, or --against FILE with input_ids",
                            opened.texts->tokenizer_problem));
  }
  const VerifyOptions asked = options();
  const Precision precision = asked.precision.value_or(Precision::f32);
  const Isa isa = resolve_isa(asked.isa, precision);
  const std::vector<std::string> left_out =
      record(opened, texts.empty() ? default_texts() : read_texts(),
             images.empty() ? std::vector{default_image()} : read_images(),
             {.isa = isa,
              .precision = precision,
              .threads = model.threads,
              .made_by = fmt::format("tessera {} at {} in {}", TESSERA_VERSION, to_string(isa),
                                     option_name(precision))},
             path);
  if (left_out.empty()) return;
  say("tessera verify: left out, as larger than 64 MiB: {}\n", fmt::join(left_out, ", "));
}

void Verify::run(const CLI::App& command) const {
  if (!records) {
    require_none(command, {"--output", "--texts", "--images", "--force"},
                 "got it without --record, which it says something about");
  } else {
    require_none(command, {"--json", "--tolerance"}, "got it with --record, expected neither");
    if (!against.empty()) {
      require_none(command, {"--images"}, "got it with --against, whose images are recorded");
    }
  }
  if (model.precision == "auto") {
    throw UsageError("--precision: got 'auto', expected fp32, bf16 or int8");
  }
  OutputFile out("-");
  if (!records) {
    const std::string path = against.empty() ? beside() : against;
    if (against.empty() && !std::filesystem::exists(path)) {
      throw Error(ErrorCode::not_found,
                  fmt::format("{}: is not there, expected golden vectors beside the checkpoint: "
                              "nothing was verified (--against FILE names others; --record makes "
                              "some with this machine's results)",
                              path));
    }
    const Verification result = verified(GoldenVectors::open(path), options());
    out.write(is_json ? verification_json(result) : verification_text(result));
    out.finish();
    if (!result.is_good()) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("{}: is not verified against {}", result.model, path));
    }
    return;
  }
  const std::string path = output.empty() ? beside() : output;
  if (!output.empty()) require_distinct({{"-o", output}}, {against, texts}, model.model);
  if (std::filesystem::exists(path) && !replaces) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: is there, expected --force to replace it", path));
  }
  if (against.empty()) {
    record_here(path);
  } else {
    GoldenVectors vectors = GoldenVectors::open(against);
    if (!vectors.texts.empty() && !texts.empty()) {
      throw UsageError(
          fmt::format("--texts: got {}, but {} has its own, expected none", texts, against));
    }
    if (vectors.texts.empty()) vectors.texts = read_texts();
    vectors.max_tokens = 0;
    vectors.weights.clear();  // those of today are recorded
    VerifyOptions asked = options();
    if (!asked.precision) asked.precision = vectors.precision;
    const VerifiedModel opened = open(vectors.kinds, vectors.route);
    const Verification result = verify(opened, vectors, asked);
    if (!result.is_good()) {
      out.write(verification_text(result));
      out.finish();
      throw Error(
          ErrorCode::corrupt_file,
          fmt::format("{}: is not what {} computes: nothing is recorded", against, result.model));
    }
    record_again(vectors, opened, vectors.texts, path);
  }
  out.write(fmt::format("{}: recorded\n", path));
  out.finish();
}

void Verify::add_to(CLI::App& command) {
  model.add_to(command);
  command.remove_option(command.get_option("--batch-tokens"));
  command.get_option("--isa")->description("One instruction set (default: every one of this CPU)");
  command.get_option("--precision")
      ->description("One of fp32, bf16 and int8 (default: all; with --record fp32)");
  role.add_route_to(command);
  add_option(command, "--against", against, "FILE",
             "Golden vectors (default: verify.safetensors beside the checkpoint)")
      ->check(not_empty());
  add_option(
      command, "--tolerance", tolerance, "X",
      "Accept X times the bounds (default: 1). They are, of the largest number of an output "
      "and of 1 - cosine of a row: fp32 3e-5 and 1e-10, bf16 0.2 and 1e-2, int8 0.6 and 5e-2")
      ->check(positive_number());
  command.add_flag("--json", is_json, "One JSON object");
  command.add_flag(
      "--record", records,
      "Write golden vectors instead: what this machine computes, or, with --against, those of FILE "
      "if it computes them, with the checksums of the weights");
  add_output(command, output);
  add_option(command, "--texts", texts, "FILE",
             "Record these lines (default: three texts; of --against FILE: what its rows are of)")
      ->check(not_empty());
  add_option(command, "--images", images, "FILE", "Record these images (default: a pattern)");
  command.add_flag("--force", replaces, "Replace golden vectors that are there");
  command.footer(
      "Runs the inputs of the file at every instruction set and in every precision that this\n"
      "machine has (--isa and --precision: one), compares each output with the file's, layer by\n"
      "layer, and names the first that is off. Tokens, pixels and the bytes of every weight are\n"
      "compared where the file has them. Exit status 0: all was compared and is right.\n"
      "\n"
      "The file: safetensors with input_ids (B,T), attention_mask, ... or pixel_values (B,C,H,W),\n"
      "and outputs by their names (hidden_states.0, last_hidden_state, logits, embedding), as F32\n"
      "or F64; metadata \"texts\": a JSON array. The reference's tensors, saved, are one.\n"
      "Examples:\n"
      "  tessera verify model\n"
      "  tessera verify model --against from_transformers.safetensors --precision fp32\n"
      "  tessera verify model --record");
}

}  // namespace

void add_verify(CLI::App& root) {
  add_command<Verify>(root, "verify",
                      "Does this machine compute what was recorded? Every layer, level, precision");
}

}  // namespace tessera::cli
