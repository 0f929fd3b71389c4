// SPDX-License-Identifier: Apache-2.0
// tessera tokens: what the tokenizer makes of each line. Needs the tokenizer files of a model only.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "models/sentence/files.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/token_lines.hpp"

namespace tessera::cli {
namespace {

struct Tokens {
  std::string model, file = "-", output = "-";
  TextFlags text;
  bool is_jsonl = false, is_pairs = false, is_json = false;
  bool no_special_tokens = false, truncates_as_file = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;

 private:
  text::EncodeOptions encode_options() const;
};

text::EncodeOptions Tokens::encode_options() const {
  text::EncodeOptions options;
  options.add_special_tokens = !no_special_tokens;
  if (text.max_length) options.max_length = static_cast<std::size_t>(*text.max_length);
  options.truncation = text.truncation;
  options.truncation_side = text.truncation_side;
  // As the reference's AutoTokenizer: a truncation that stands in tokenizer.json applies when asked
  // for.
  options.use_file_truncation = truncates_as_file || text.truncation.has_value();
  return options;
}

// sentence-transformers may keep the Transformer and its tokenizer in a folder, as modules.json
// says.
std::filesystem::path tokenizer_directory(const std::filesystem::path& model) {
  if (text::directory_has_tokenizer(model) || !std::filesystem::exists(model / "modules.json")) {
    return model;
  }
  return model / models::read_sentence_files(model).transformer_path;
}

void Tokens::run(const CLI::App& /*command*/) const {
  const text::Tokenizer tokenizer = text::Tokenizer::from_directory(tokenizer_directory(model));
  const text::EncodeOptions options = encode_options();
  RecordReader reader(file, is_pairs              ? LineFormat::pairs
                            : is_json || is_jsonl ? LineFormat::jsonl
                                                  : format_of(file));
  OutputFile out(output);
  Record record;
  std::size_t failed = 0;
  std::string first_problem, answer;
  while (reader.next(record)) {
    try {
      const text::Encoding encoding =
          record.pair ? tokenizer.encode_pair(record.text, *record.pair, options)
                      : tokenizer.encode(record.text, options);
      answer = is_json ? tokens_json(encoding) : tokens_table(tokenizer, record, encoding);
    } catch (const Error& e) {
      // One answer per line, so that outputs stay beside their inputs.
      if (++failed == 1) first_problem = record.where + ": " + e.what();
      answer = is_json ? tokens_error_json(e.what())
                       : fmt::format("{}: error: {}\n", record.where, e.what());
    }
    out.write(answer);
  }
  out.finish();
  if (failed != 0) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} of {} lines failed; the first: {}", failed,
                            reader.lines().line_number(), first_problem));
  }
}

void Tokens::add_to(CLI::App& command) {
  add_option(command, "MODEL", model, "DIR", "Directory with tokenizer files")->required();
  add_option(command, "FILE", file, "", "Input, one text per line ('-' or none: stdin)");
  command.add_flag(
      "--json", is_json,
      "Read {\"text\": ..., \"pair\": ...} lines, write {\"ids\": [...], \"type_ids\": [...], "
      "\"offsets\": [[begin, end], ...]} lines");
  auto* jsonl = command.add_flag("--jsonl", is_jsonl, "Read JSON lines, write tables");
  command.add_flag("--pairs", is_pairs, "Each line is a text, a tab, a second text")
      ->excludes(jsonl);
  command.add_flag("--no-special-tokens", no_special_tokens, "Leave out [CLS], [SEP] and the like");
  command.add_flag("--file-truncation", truncates_as_file,
                   "Truncate where the tokenizer's file says so (embed and classify do)");
  text.add_truncation_to(command);
  add_output(command, output);
  command.footer(
      "Offsets are code points of the input text, the end exclusive; special tokens have 0, 0.\n"
      "Shows every token unless told to truncate; never pads. A line that cannot be\n"
      "truncated as asked gives {\"error\": ...}, and exit status 1 at the end.\n"
      "Examples:\n"
      "  echo 'Unaffable!' | tessera tokens model\n"
      "  echo '{\"text\": \"a\", \"pair\": \"b\"}' | tessera tokens model --json --max-length 16");
}

}  // namespace

void add_tokens(CLI::App& root) {
  add_command<Tokens>(root, "tokens", "What the tokenizer does, with offsets");
}

}  // namespace tessera::cli
