// SPDX-License-Identifier: Apache-2.0
// tessera embed: one vector per line or image.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "tessera/cli/advice.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/image_input.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct Embed {
  ModelFlags model;
  TextFlags text;
  ImageFlags images;
  InputFlags input;
  std::string format = "jsonl";
  std::string output = "-";
  std::string output_name = "embedding";
  std::string paths;  // empty: not given
  bool with_text = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;

 private:
  using PackagePointer = std::shared_ptr<const models::Package>;
  void run_texts(const CLI::App& command, const PackagePointer& package,
                 EncoderOptions options) const;
  void run_images(const PackagePointer& package, EncoderOptions options) const;
  void require_per_input(const Encoder& encoder) const;
  void require_no_terminal(const OutputFile& out) const;
  MatrixFormat matrix_format() const {
    return format == "npy"    ? MatrixFormat::npy
           : format == "text" ? MatrixFormat::text
                              : MatrixFormat::jsonl;
  }
};

void Embed::require_per_input(const Encoder& encoder) const {
  if (!encoder.is_per_token()) return;
  throw UsageError(fmt::format(
      "--output-name: {} has a row per token, expected an output with one per input", output_name));
}

void Embed::require_no_terminal(const OutputFile& out) const {
  if (format != "npy" || !out.is_terminal()) return;
  throw UsageError("--format npy: stdout is a terminal, expected a file or a pipe (see -o)");
}

void Embed::run_texts(const CLI::App& command, const PackagePointer& package,
                      EncoderOptions options) const {
  const std::string file = input.file();
  const Preparer preparer = make_preparer(command, *package, input, text);
  RecordReader reader(file, preparer.format());
  OutputFile out(output);
  require_no_terminal(out);
  TextEncoder encoder(package, advised(model, *package, std::move(options)));
  require_per_input(encoder);
  const auto writer = MatrixWriter::create(matrix_format(), out, encoder.width());
  Progress progress("embedding");
  run_records(
      reader, preparer, encoder,
      [&](const RecordResult& result) {
        writer->write_row(
            result.output.row(0),
            with_text ? std::optional<std::string_view>(result.record.text) : std::nullopt);
      },
      // Whoever reads the pipe need not wait for the next window.
      [&] { out.flush_pipe(); },
      [&](std::size_t done, double fraction) { progress.update(done, fraction); });
  writer->finish();
  progress.clear();
  out.finish();
  if (preparer.texts() != nullptr) say_what_was_cut("embed", *preparer.texts());
}

void Embed::run_images(const PackagePointer& package, EncoderOptions options) const {
  ImageEncoder encoder(package, advised(model, *package, std::move(options)), images.options);
  require_per_input(encoder);
  const ImageList files = list_arguments(input.files, images, "embed");
  OutputFile out(output);
  require_no_terminal(out);
  std::unique_ptr<OutputFile> list;
  if (!paths.empty()) list = std::make_unique<OutputFile>(paths);
  const auto writer = MatrixWriter::create(matrix_format(), out, encoder.width(), "path");
  const std::size_t failed =
      cli::run_images(encoder, files, images, "embed", [&](std::size_t i, Results results) {
        const std::string path = files.paths[i].string();
        writer->write_row(results[0].row(0), path);
        if (list) list->write(path + "\n");
        out.flush_pipe();
      });
  writer->finish();
  out.finish();
  if (list) list->finish();
  require_all(failed, files);
}

void Embed::run(const CLI::App& command) const {
  if (with_text && (format != "jsonl" || input.is_ids)) {
    throw UsageError("--with-text: needs --format jsonl and input that is text");
  }
  // What is wrong with flags, input or output shows before the weights are packed.
  EncoderOptions options = model.encoder_options({output_name});
  const PackagePointer package = model.open_package();
  if (output_name == "embedding") require_embedding(*package);
  require_kind(command, *package);
  if (package->program.images() != nullptr) {
    run_images(package, std::move(options));
  } else {
    run_texts(command, package, std::move(options));
  }
}

void Embed::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_plan_to(command);
  input.add_format_to(command, false);
  add_choice(command, "--format", format, "FORMAT", {"jsonl", "npy", "text"},
             "jsonl (default), npy (float32, shape (n, D)), text");
  add_output(command, output);
  command.add_flag("--with-text", with_text, "jsonl: repeat the text beside its embedding");
  add_option(command, "--output-name", output_name, "NAME",
             "Write this output of the model, e.g. pooler_output (default: embedding)");
  text.add_to(command);
  images.add_to(command);
  add_option(command, "--paths", paths, "FILE",
             "Images: write the path of every vector to FILE, one a line");
  command.footer(
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
}

}  // namespace

void add_embed(CLI::App& root) {
  add_command<Embed>(root, "embed", "Texts or images to vectors");
}

}  // namespace tessera::cli
