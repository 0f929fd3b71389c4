// SPDX-License-Identifier: Apache-2.0
// tessera quantize: a model directory as one of 8-bit whole numbers.
#include "tessera/pipeline/quantize.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/process.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct Quantize {
  std::string model, out;
  double least_cosine = 0;
  std::vector<std::string> keep, calibration;
  bool replaces = false, words = false, clips = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;
};

void Quantize::run(const CLI::App& command) const {
  if (command.count("--min-cosine") > 0) {
    if (calibration.empty())
      throw UsageError(
          "--min-cosine: got no --calibrate, expected texts or images to measure with");
    if (!(least_cosine >= 0 && least_cosine <= 1)) {
      throw UsageError(
          fmt::format("--min-cosine: got {}, expected a number from 0 to 1", least_cosine));
    }
  }
  const QuantizeOptions options{.out = out,
                                .keep = keep,
                                .replaces = replaces,
                                .words = words,
                                .clips = clips,
                                .calibration = {calibration.begin(), calibration.end()},
                                .least_cosine = least_cosine,
                                .is_cancelled = is_interrupted,
                                // A directory is removed file by file, which no handler may do.
                                .begins_to_write = defer_signals};
  QuantizeReport report;
  try {
    report = quantize_directory(model, options);
  } catch (const Error&) {
    if (is_interrupted()) end_by_deferred_signal();
    throw;
  }
  std::string text = fmt::format(
      "{}: {} weights as whole numbers of 8 bits, a scale for each row\n", out, report.whole);
  text += fmt::format(
      "weights: {} bytes, before {} ({:.1f} %)\n", report.bytes_after, report.bytes_before,
      100.0 * static_cast<double>(report.bytes_after) / static_cast<double>(report.bytes_before));
  if (!report.words.empty()) {
    text += fmt::format("of these tables of words: {}\n", fmt::join(report.words, ", "));
  } else if (words) {
    text += "tables of words: as they were, kept or read by something else as floats\n";
  }
  if (report.with_factors > 0) {
    text += fmt::format(
        "of these {} with factors for the columns of their input: tessera alone reads them\n",
        report.with_factors);
  }
  const auto list = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) text += fmt::format("{}: {}\n", what, fmt::join(names, ", "));
  };
  for (const Calibration& c : report.calibrations) {
    const std::string of = c.of.empty() ? "" : c.of + ": ";
    text += fmt::format(
        "{}worst cosine of {} row{} of {} {}{} with fp32: {:.6f} without these, {:.6f} with "
        "factors measured with them{}, {:.6f} as written, {} more weights as floats\n",
        of, c.rows, c.rows == 1 ? "" : "s", c.inputs, c.kind, c.inputs == 1 ? "" : "s",
        c.cosine_before, c.cosine_with_factors, c.takes_factors ? "" : " (not taken: no nearer)",
        c.cosine, c.floats.size());
    if (c.cut > 0) text += fmt::format("{}{} of {} texts cut {}\n", of, c.cut, c.inputs, c.cutting);
    list("floats for that cosine", c.floats);
  }
  list("floats, as they were", report.floats);
  list("... of these quantised at int8 when they are read", report.at_load);
  list("floats that no linear has, quantised at int8 when they are read", report.no_linears);
  list("files left out, of weights as they were", report.left_out);
  OutputFile output("-");
  output.write(text);
  output.finish();
}

void Quantize::add_to(CLI::App& command) {
  add_option(command, "MODEL", model, "DIR", "Directory of the checkpoint, as published")
      ->required();
  add_option(command, "--out,-o", out, "DIR", "Directory to write: it appears when it is complete")
      ->required()
      ->check(not_empty());
  add_option(
      command, "--keep", keep, "NAME",
      "Weights, or words, that stay floats: a module (encoder.layer.0.output.dense), or one above "
      "(encoder.layer.0); weights that are computed together stay together")
      ->check(not_empty());
  add_option(
      command, "--calibrate", calibration, "PATH",
      "Texts, one a line, or an image or a folder with nothing but images (both of a model with "
      "two "
      "towers): how large each channel becomes is measured with them, and moved into the weights "
      "that read it (SmoothQuant), if that brings their worst row nearer to fp32")
      ->check(not_empty());
  add_option(
      command, "--min-cosine", least_cosine, "C",
      "With --calibrate: weights stay floats, the worst first, until every row of the main "
      "output of these inputs has this cosine with that of fp32, at this CPU's level (of rows of "
      "one or two columns 1 - e^2/2, e the error in units of the row's length, or of what the "
      "rows have on average if that is more)");
  command.add_flag(
      "--word-embeddings", words,
      "The tables of words become whole numbers, too, a scale for each row: a quarter of their "
      "bytes in the file and in memory, for a small error (--calibrate measures it, --min-cosine "
      "leaves them so)");
  command.add_flag(
      "--clip", clips,
      "The step of each row is the one with which its numbers are nearest, in the mean of their "
      "squares, so that the largest may be clipped, and not that of its largest");
  command.add_flag("--force", replaces, "Replace the model that is in DIR of --out");
  command.footer(
      "The directory is read by whatever reads compressed-tensors (\"int-quantized\", W8A8): "
      "config.json\n"
      "says so in quantization_config, model.safetensors has the weights that --precision int8 "
      "would\n"
      "quantise as whole numbers, with a weight_scale for each row, and all others as they were "
      "(those\n"
      "of experts that are one tensor too, which are quantised when they are read); its\n"
      "\"ignore\" lists the linears among these. Other files are copied, links followed, but for "
      "hidden\n"
      "folders and the same weights in other formats. At --precision int8 the model's main output "
      "is the\n"
      "same, bit for bit, as before (but with --calibrate, --keep, --word-embeddings or --clip); "
      "without\n"
      "it the whole numbers are multiplied with their scales. Where outlier channels are moved "
      "into "
      "weights,\n"
      "quant_method is \"tessera-int8\", which nothing else reads.");
}

}  // namespace

void add_quantize(CLI::App& root) {
  add_command<Quantize>(root, "quantize",
                        "A model's linears as 8-bit whole numbers, in a new directory");
}

}  // namespace tessera::cli
