// SPDX-License-Identifier: Apache-2.0
// tessera embed: one vector per line or image. Works through the input in windows, so that it may
// be larger than memory: each window is read, sorted into batches, computed, and written in its
// order.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "runtime/base/error.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/image_input.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/cli/records.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

constexpr std::size_t kWindow = 4096;  // records

struct Embed {
  ModelFlags model;
  TextFlags text;
  ImageFlags images;
  InputFlags files;
  std::string format = "jsonl";
  std::string output = "-";
  std::string output_name = "embedding";
  std::string paths;  // empty: not given
  bool with_text = false;

  void run() const;
  void run_texts(const std::shared_ptr<const models::Package>& package,
                 EncoderOptions options) const;
  void run_images(const std::shared_ptr<const models::Package>& package,
                  EncoderOptions options) const;
  void require_per_input(const Encoder& encoder) const;
  void require_no_terminal(const OutputFile& out) const;
};

MatrixFormat matrix_format(const std::string& name) {
  if (name == "npy") return MatrixFormat::npy;
  return name == "text" ? MatrixFormat::text : MatrixFormat::jsonl;
}

void Embed::require_per_input(const Encoder& encoder) const {
  if (!encoder.is_per_token()) return;
  throw UsageError(fmt::format(
      "--output-name: {} has a row per token, expected an output with one per input", output_name));
}

void Embed::require_no_terminal(const OutputFile& out) const {
  if (format != "npy" || !out.is_terminal()) return;
  throw UsageError("--format npy: stdout is a terminal, expected a file or a pipe (see -o)");
}

void Embed::run_texts(const std::shared_ptr<const models::Package>& package,
                      EncoderOptions options) const {
  const InputFlags input = files.of_text();
  images.require_none("applies to images, the model takes texts");
  if (!paths.empty()) throw UsageError("--paths: applies to images, the model takes texts");
  const Preparer preparer(*package, input, text);
  RecordReader reader(input.file, preparer.format());
  OutputFile out(output);
  require_no_terminal(out);
  TextEncoder encoder(package, std::move(options));
  require_per_input(encoder);
  const auto width = static_cast<std::size_t>(encoder.width());
  const auto writer = MatrixWriter::create(matrix_format(format), out, encoder.width());

  Progress progress("embedding");
  std::vector<float> rows;  // (records of the window, width)
  std::size_t written = 0;
  while (true) {
    const std::uint64_t window_begin = reader.lines().bytes_read();
    const std::vector<Record> window = reader.next_window(kWindow);
    if (window.empty()) break;
    rows.resize(window.size() * width);
    encoder.run(preparer.prepare_all(window), rows, [&](std::size_t done, std::size_t total) {
      progress.update(written + done, fraction_done(reader.lines(), window_begin, done, total));
    });
    for (std::size_t i = 0; i < window.size(); ++i) {
      const std::span<const float> row = std::span(rows).subspan(i * width, width);
      writer->write_row(row,
                        with_text ? std::optional<std::string_view>(window[i].text) : std::nullopt);
    }
    written += window.size();
    if (!out.is_seekable())
      out.flush();  // whoever reads the pipe need not wait for the next window
  }
  writer->finish();
  progress.clear();
  out.finish();
}

void Embed::run_images(const std::shared_ptr<const models::Package>& package,
                       EncoderOptions options) const {
  text.require_none("applies to texts, the model takes images");
  files.require_none("applies to texts, the model takes images");
  if (with_text) throw UsageError("--with-text: applies to texts, the model takes images");
  ImageEncoder encoder(package, std::move(options), images.image_options());
  require_per_input(encoder);
  const ImageFiles inputs = list_images(files.files, images, "embed");
  OutputFile out(output);
  require_no_terminal(out);
  std::unique_ptr<OutputFile> list;
  if (!paths.empty()) list = std::make_unique<OutputFile>(paths);
  const auto writer = MatrixWriter::create(matrix_format(format), out, encoder.width(), "path");
  const std::size_t failed =
      cli::run_images(encoder, inputs, images, "embed", [&](std::size_t i, Results results) {
        const std::string path = inputs.paths[i].string();
        writer->write_row(results[0].row(0), path);
        if (list) list->write(path + "\n");
        if (!out.is_seekable()) out.flush();
      });
  writer->finish();
  out.finish();
  if (list) list->finish();
  require_all(failed, inputs.paths.size() + inputs.unreadable);
}

void Embed::run() const {
  if (with_text && (format != "jsonl" || files.is_ids)) {
    throw UsageError("--with-text: needs --format jsonl and input that is text");
  }
  // What is wrong with flags, input or output shows before the weights are packed.
  EncoderOptions options = model.encoder_options({output_name});
  const std::shared_ptr<const models::Package> package = model.open_package();
  if (output_name == "embedding") require_embedding(*package);
  if (package->program.images.channels > 0) {
    run_images(package, std::move(options));
  } else {
    run_texts(package, std::move(options));
  }
}

}  // namespace

void require_embedding(const models::Package& package) {
  if (package.program.find_output("embedding") != kNone) return;
  throw Error(
      ErrorCode::unsupported_model,
      fmt::format("{}: {} computes no embedding, expected an encoder without a head or "
                  "sentence-transformers files; --class can name the class without the head",
                  package.directory.string(), package.architecture));
}

void add_embed(CLI::App& root) {
  auto* command = root.add_subcommand("embed", "Texts or images to vectors");
  auto flags = std::make_shared<Embed>();
  flags->model.add_to(*command);
  flags->model.add_plan_to(*command);
  flags->files.add_files_to(*command);
  flags->files.add_format_to(*command, false);
  command
      ->add_option("--format", flags->format, "jsonl (default), npy (float32, shape (n, D)), text")
      ->check(one_of({"jsonl", "npy", "text"}))
      ->type_name("FORMAT");
  command
      ->add_option("-o,--output", flags->output, "Write to FILE, which appears when it is complete")
      ->type_name("FILE");
  command->add_flag("--with-text", flags->with_text, "jsonl: repeat the text beside its embedding");
  command
      ->add_option("--output-name", flags->output_name,
                   "Write this output of the model, e.g. pooler_output (default: embedding)")
      ->type_name("NAME");
  flags->text.add_to(*command);
  flags->images.add_to(*command);
  command
      ->add_option("--paths", flags->paths,
                   "Images: write the path of every vector to FILE, one a line")
      ->type_name("FILE");
  command->footer(
      "Every line gets a vector, an empty line too. A pair is embedded as one input.\n"
      "A model of images takes JPEG and PNG files and directories, whose files come in the order\n"
      "of their paths. A file that gives no vector is named on stderr, the others are written, "
      "and\n"
      "the exit status is 1. `tessera info` says what the embedding is.\n"
      "Examples:\n"
      "  tessera embed model texts.txt -o vectors.npy --format npy\n"
      "  echo 'Hello there' | tessera embed model --format text\n"
      "  echo '101 7592 2045 102' | tessera embed model --ids\n"
      "  tessera embed vit photos/ --format npy -o vectors.npy --paths vectors.txt");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
