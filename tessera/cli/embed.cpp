// SPDX-License-Identifier: Apache-2.0
// tessera embed: one vector per line. Works through the input in windows, so that it may be larger
// than memory: each window is read, sorted into batches, computed, and written in its order.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "runtime/error.hpp"
#include "tessera/cli/embedding_writer.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/progress.hpp"
#include "tessera/cli/records.hpp"

namespace tessera::cli {
namespace {

constexpr std::size_t kWindow = 4096;  // records

struct Embed {
  ModelFlags model;
  TextFlags text;
  InputFlags input;
  std::string format = "jsonl";
  std::string output = "-";
  bool with_text = false;

  void run() const;
};

MatrixFormat matrix_format(const std::string& name) {
  if (name == "npy") return MatrixFormat::npy;
  return name == "text" ? MatrixFormat::text : MatrixFormat::jsonl;
}

void Embed::run() const {
  if (with_text && (format != "jsonl" || input.is_ids)) {
    throw UsageError("--with-text: needs --format jsonl and input that is text");
  }
  // What is wrong with flags, input or output shows before the weights are packed.
  EncoderOptions options = model.encoder_options({"embedding"});
  const std::shared_ptr<const models::Package> package = model.open_package();
  require_embedding(*package);
  const Preparer preparer(*package, input, text);
  RecordReader reader(input.file, preparer.format());
  OutputFile out(output);
  if (format == "npy" && out.is_terminal()) {
    throw UsageError("--format npy: stdout is a terminal, expected a file or a pipe (see -o)");
  }
  TextEncoder encoder(package, std::move(options));
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
  auto* command = root.add_subcommand("embed", "Texts to vectors");
  auto flags = std::make_shared<Embed>();
  flags->model.add_to(*command);
  flags->model.add_plan_to(*command);
  flags->input.add_file_to(*command);
  flags->input.add_format_to(*command, false);
  command
      ->add_option("--format", flags->format, "jsonl (default), npy (float32, shape (n, D)), text")
      ->check(one_of({"jsonl", "npy", "text"}))
      ->type_name("FORMAT");
  command
      ->add_option("-o,--output", flags->output, "Write to FILE, which appears when it is complete")
      ->type_name("FILE");
  command->add_flag("--with-text", flags->with_text, "jsonl: repeat the text beside its embedding");
  flags->text.add_to(*command);
  command->footer(
      "Every line gets a vector, an empty line too. A pair is embedded as one input.\n"
      "Examples:\n"
      "  tessera embed model texts.txt -o vectors.npy --format npy\n"
      "  echo 'Hello there' | tessera embed model --format text\n"
      "  echo '101 7592 2045 102' | tessera embed model --ids");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
