// SPDX-License-Identifier: Apache-2.0
// tessera embed: one vector per line or image.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "tessera/cli/advice.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/image_input.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/resumable_job.hpp"
#include "tessera/cli/role_flag.hpp"
#include "tessera/cli/say.hpp"
#include "tessera/cli/text_job.hpp"
#include "tessera/cli/vector_flags.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/output_lines.hpp"

namespace tessera::cli {
namespace {

struct Embed {
  ModelFlags model;
  TextFlags text;
  ImageFlags images;
  InputFlags input;
  VectorFlags vectors;
  std::string format;  // empty: by the output's name
  std::string output = "-";
  std::vector<std::string> output_names{"embedding"};
  std::vector<std::string> asked_names;  // before the embedding became the vectors of tokens
  std::string paths;                     // empty: not given
  RoleFlag role;
  bool with_text = false, resumes = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command);

 private:
  using PackagePointer = std::shared_ptr<const models::Package>;
  void run_texts(const CLI::App& command, const PackagePointer& package,
                 EncoderOptions options) const;
  void run_lines(const CLI::App& command, OutputFile& out, RecordStream& stream,
                 const Preparer& preparer, TextEncoder& encoder) const;
  void run_images(const CLI::App& command, const PackagePointer& package,
                  EncoderOptions options) const;
  bool are_several() const noexcept { return output_names.size() > 1; }
  const std::string& output_name() const noexcept { return output_names.front(); }
  const std::string& asked_name() const noexcept { return asked_names.front(); }
  void check_several(const CLI::App& command) const;
  /// Of one output with a row per token.
  void check_per_token(const CLI::App& command) const;
  void require_no_terminal(const OutputFile& out) const;
  MatrixFormat matrix_format(const models::Package& package) const {
    return format == "npy"                    ? MatrixFormat::npy
           : format == "fvecs"                ? MatrixFormat::fvecs
           : format == "npz"                  ? MatrixFormat::csr
           : format == "text"                 ? MatrixFormat::text
           : package.is_sparse(output_name()) ? MatrixFormat::sparse_jsonl
                                              : MatrixFormat::jsonl;
  }
  SparseText sparse_text(const models::Package& package) const {
    return {.tokenizer = package.tokenizer ? &*package.tokenizer : nullptr,
            .vocabulary = model.top_k > 0 ? require_tokens(package.program).vocab_size : 0};
  }
};

void Embed::check_per_token(const CLI::App& command) const {
  require_none(command, {"--top-k", "--vector-type", "--ranges", "--calibrate", "--base64"},
               "applies to one vector per text");
  if (format != "jsonl") {
    throw UsageError(
        fmt::format("--format {}: {} has a row per token, expected jsonl", format, asked_name()));
  }
}

// Which names, formats and flags go together with several outputs.
void Embed::check_several(const CLI::App& command) const {
  for (auto name = output_names.begin(); name != output_names.end(); ++name) {
    if (std::find(output_names.begin(), name, *name) == name) continue;
    throw UsageError(fmt::format("--output-name: got {} twice, expected each once", *name));
  }
  if (!are_several()) return;
  if (format != "jsonl") {
    throw UsageError(fmt::format("--format {}: got {} outputs, expected jsonl, or one output",
                                 format, output_names.size()));
  }
  require_none(command, {"--vector-type", "--ranges", "--calibrate", "--base64", "--resume"},
               fmt::format("applies to one output, got {}", fmt::join(output_names, ", ")));
}

void Embed::require_no_terminal(const OutputFile& out) const {
  if (format == "jsonl" || format == "text" || !out.is_terminal()) return;
  throw UsageError(
      fmt::format("--format {}: stdout is a terminal, expected a file or a pipe (see -o)", format));
}

void Embed::run_texts(const CLI::App& command, const PackagePointer& package,
                      EncoderOptions options) const {
  const Preparer preparer = make_preparer(command, *package, input, text);
  RecordStream stream(input.inputs());
  std::unique_ptr<OutputFile> file;
  if (!resumes) {
    file = std::make_unique<OutputFile>(output);
    require_no_terminal(*file);
  }
  TextEncoder encoder(package, advised(model, *package, std::move(options)));
  if (are_several() || encoder.is_per_token()) {
    if (resumes) {
      throw UsageError(
          fmt::format("--resume: {} has a row per token, expected one per text", asked_name()));
    }
    run_lines(command, *file, stream, preparer, encoder);
    return;
  }
  const VectorCoding coding = vectors.coding(encoder.width());
  std::optional<ResumableJob> job;
  if (resumes) job.emplace(output, facts_of(command, input, encoder, format, vectors.files()));
  OutputFile& out = job ? job->out() : *file;
  const RecordCounts before = job ? job->before() : RecordCounts{};
  if (before.read > 0) {
    say("tessera embed: goes on behind {} lines\n", before.read);
  }
  const auto writer =
      MatrixWriter::create(matrix_format(*package), out, encoder.width(), "text",
                           job ? job->rows_before() : std::nullopt, sparse_text(*package), coding);
  SignWatch signs(coding.type);
  const RecordSinks sinks{.result =
                              [&](const RecordResult& result) {
                                const Record& record = result.record;
                                signs.look_at(result.output().row(0));
                                writer->write_row(result.output().row(0),
                                                  with_text
                                                      ? std::optional<std::string_view>(record.text)
                                                      : std::nullopt,
                                                  record.id, result.is_cut);
                              },
                          .failed = {},
                          .end_of_window =
                              [&](const RecordCounts& counts) {
                                // Whoever reads the pipe need not wait for the next window.
                                out.flush_pipe();
                                if (job) job->save(counts);
                              },
                          .progress = {}};
  const RecordCounts counts =
      cli::run_texts({.command = "embed", .label = "embedding", .shows_stats = images.shows_stats},
                     stream, preparer.function(), preparer.texts(), encoder, sinks, before);
  writer->finish();
  if (job) {
    job->finish();
  } else {
    out.finish();
  }
  signs.finish();
  require_all(counts);
}

// Of several outputs, or of one with a row per token.
void Embed::run_lines(const CLI::App& command, OutputFile& out, RecordStream& stream,
                      const Preparer& preparer, TextEncoder& encoder) const {
  if (!are_several()) check_per_token(command);
  const models::Package& package = encoder.package();
  const OutputLines lines(package, output_names, asked_names, sparse_text(package), text.role);
  const RecordCounts counts =
      cli::run_texts({.command = "embed", .label = "embedding", .shows_stats = images.shows_stats},
                     stream, preparer.function(), preparer.texts(), encoder,
                     {.result =
                          [&](const RecordResult& result) {
                            std::optional<OutputLines::Source> source;
                            if (with_text) source = {.key = "text", .value = result.record.text};
                            const RecordPart& part = result.parts[0];
                            out.write(with_id(lines.line(part.outputs, part.sequence, source),
                                              result.record.id, result.is_cut));
                          },
                      .failed = {},
                      .end_of_window = [&](const RecordCounts&) { out.flush_pipe(); },
                      .progress = {}});
  out.finish();
  require_all(counts);
}

void Embed::run_images(const CLI::App& command, const PackagePointer& package,
                       EncoderOptions options) const {
  ImageEncoder encoder(package, advised(model, *package, std::move(options)), images.options);
  const bool by_lines = are_several() || encoder.is_per_token();
  if (by_lines && !are_several()) check_per_token(command);
  const ImageList files = list_arguments(input.files, images, "embed");
  std::vector<std::string> read = model.with_plan(files.names());
  for (const std::string& file : vectors.files()) read.push_back(file);
  require_distinct({{"-o", output}, {"--paths", paths}}, read, model.model);
  OutputFile out(output);
  require_no_terminal(out);
  std::unique_ptr<OutputFile> list;
  if (!paths.empty()) list = std::make_unique<OutputFile>(paths);
  std::optional<OutputLines> lines;  // of several outputs, or of rows per token
  std::unique_ptr<MatrixWriter> writer;
  SignWatch signs(VectorType::f32);
  if (by_lines) {
    lines.emplace(*package, output_names, asked_names, SparseText{}, text.role);
  } else {
    const VectorCoding coding = vectors.coding(encoder.width());
    signs = SignWatch(coding.type);
    writer = MatrixWriter::create(matrix_format(*package), out, encoder.width(), "path",
                                  std::nullopt, {}, coding);
  }
  const std::size_t failed =
      cli::run_images(encoder, files, images, "embed", [&](std::size_t i, Results results) {
        const std::string path = files.paths[i].string();
        if (lines) {
          out.write(lines->line(results, {}, OutputLines::Source{.key = "path", .value = path}));
        } else {
          signs.look_at(results[0].row(0));
          writer->write_row(results[0].row(0), path);
        }
        if (list) list->write(path + "\n");
        out.flush_pipe();
      });
  if (writer) writer->finish();
  out.finish();
  if (list) list->finish();
  signs.finish();
  require_all(failed, files);
}

void Embed::run(const CLI::App& command) {
  format = format_by_name(format, output, {"jsonl", "npy", "npz", "fvecs", "text"}, "jsonl");
  input.require_ids_in(format);
  if (with_text && (format != "jsonl" || input.is_ids)) {
    throw UsageError("--with-text: needs --format jsonl and input that is text");
  }
  if (resumes) require_resumable(input, output);
  if (resumes && format == "npz") {
    throw UsageError("--resume: got --format npz, which is written at the end, expected another");
  }
  if (resumes && model.allow_onednn) {
    throw UsageError(
        "--resume: got --allow-onednn, whose last bits depend on the batch, expected "
        "linears that give the same bytes again");
  }
  // What is wrong with flags, input or output shows before the weights are packed.
  std::vector<NamedOutput> written{{"-o", output}, {"--paths", paths}};
  if (resumes) {
    for (const std::string& file : ResumableJob::files_of(output)) {
      written.push_back({"--resume", file});
    }
  }
  std::vector<std::string> read = model.with_plan(input.paths());
  for (const std::string& file : vectors.files()) read.push_back(file);
  require_distinct(written, read, model.model);
  EncoderOptions options = model.encoder_options(output_names);
  if (model.top_k > 0 && format != "jsonl" && format != "npz") {
    throw UsageError(fmt::format("--top-k: got --format {}, expected jsonl or npz", format));
  }
  const PackagePointer package = role.open(model);
  asked_names = output_names;
  if (package->multi_vector) {
    std::replace(output_names.begin(), output_names.end(), std::string("embedding"),
                 std::string(models::kTokenVectors));
    options.session.outputs = output_names;
  }
  check_several(command);
  text.role = role.role_in(*package);
  if (text.role != TextRole::none && !input.is_ids) {
    static_cast<TextOptions&>(text) = as(text.role, *package, text);
  }
  if (std::count(output_names.begin(), output_names.end(), "embedding") > 0) {
    require_embedding(*package);
  }
  require_kind(command, *package);
  const bool is_sparse = package->is_sparse(output_name());
  model.require_sparse_for_top_k(*package, asked_names);
  if (format == "npz" && !is_sparse) {
    throw UsageError(fmt::format("--format npz: the output {} is not sparse, expected --format npy",
                                 asked_name()));
  }
  if (!are_several()) vectors.require_format(format, is_sparse);
  if (package->program.images() != nullptr) {
    run_images(command, package, std::move(options));
  } else {
    run_texts(command, package, std::move(options));
  }
}

void Embed::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_tower_to(command);
  model.add_embedding_to(command);
  model.add_top_k_to(command);
  model.add_memory_to(command);
  model.add_plan_to(command);
  input.add_format_to(command, false);
  add_choice(command, "--format", format, "FORMAT", {"jsonl", "npy", "npz", "fvecs", "text"},
             "jsonl, npy (shape (n, D)), npz (of sparse ones: scipy's csr_matrix), fvecs, text "
             "(default: as the name given with -o "
             "ends: .jsonl, .ndjson, .npy, .npz, .fvecs, .txt; else jsonl)");
  vectors.add_to(command);
  add_output(command, output);
  command.add_flag(
      "--resume", resumes,
      "Texts: keep what is done in FILE.partial, and go on there if it is interrupted");
  command.add_flag("--with-text", with_text, "jsonl: repeat the text beside its embedding");
  add_option(command, "--output-name", output_names, "NAME",
             "Write this output of the model, e.g. pooler_output (default: embedding); jsonl: or "
             "several of one run, given once for each or with commas between them")
      ->delimiter(',')
      ->allow_extra_args(false);
  role.add_to(command,
              "Late interaction (ColBERT), Router: read texts as queries or as documents (default; "
              "of a Router its default_route); ids are taken as they are, without marker and "
              "expansion");
  text.add_to(command);
  images.add_to(command);
  add_option(command, "--paths", paths, "FILE",
             "Images: write the path of every vector to FILE, one a line");
  command.footer(
      "Every line gets a vector, an empty line too; blank lines between JSON lines and rows are\n"
      "none. A pair is embedded as one input. A line that gives no vector (no JSON, too long and\n"
      "not to be cut) is named on stderr and left out, in .npy too; the others are written, and "
      "the\n"
      "exit status is 1. Where the writer of a pipe pauses, what it wrote is answered.\n"
      "A model of images takes JPEG, PNG, WebP, GIF, BMP and TIFF files and directories, whose\n"
      "files come in the order of their paths. A file that gives no vector is named on stderr, "
      "the\n"
      "others are written, and the exit status is 1. `tessera info` says what the embedding is.\n"
      "A sparse one (SPLADE) is {\"sparse\": [{\"token\": ..., \"id\": ..., \"weight\": ...}, "
      "...]} in\n"
      "JSON, the heaviest tokens first; the other formats have a column for each token.\n"
      "Of late interaction (ColBERT), and of outputs with a row per token, it is\n"
      "{\"vectors\": [[...], ...]}, a vector for each token that counts. Several outputs are keys "
      "of one\n"
      "line: the name, \"sparse\", \"vectors\"; or their names where two would have the same.\n"
      "With --resume the same command goes on with what an interrupted one has written, and "
      "writes\n"
      "the same bytes; a job that differs (flags, inputs, model, machine) is refused.\n"
      "Examples:\n"
      "  tessera embed model a.txt b.jsonl -o vectors.npy\n"
      "  tessera embed model films.csv --column plot --id-key imdb -o films.jsonl\n"
      "  echo 'Hello there' | tessera embed model --format text\n"
      "  echo '101 7592 2045 102' | tessera embed model --ids\n"
      "  tessera embed bge-m3 a.txt --output-name embedding,lexical_weights,colbert_vecs\n"
      "  tessera embed vit photos/ -o vectors.npy --paths vectors.txt\n"
      "  tessera embed clip captions.txt --tower text -o captions.npy");
}

}  // namespace

void add_embed(CLI::App& root) {
  add_command<Embed>(root, "embed", "Texts or images to vectors");
}

}  // namespace tessera::cli
