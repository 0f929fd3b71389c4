// SPDX-License-Identifier: Apache-2.0
// tessera tokens: what the tokenizer makes of each line. Needs the tokenizer files of a
// model only; of a static embedding the model, which says what is read.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <utility>

#include "models/hub_cache.hpp"
#include "models/sentence/files.hpp"
#include "models/sentence/static_embedding.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/role_flag.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/pipeline/static_texts.hpp"
#include "tessera/pipeline/token_lines.hpp"

namespace tessera::cli {
namespace {

/// A tokenizer, and what a model without layers does to its tokens.
struct Reader {
  text::Tokenizer tokenizer;
  bool adds_special_tokens = true;
  std::optional<models::StaticModelTexts> static_model = {};  // texts are read as model2vec does
  Index max_tokens = 0;                                       // of a static model
};

struct Tokens {
  std::string model, output = "-";
  TextFlags text;
  RoleFlag role;
  InputFlags input;
  bool is_json = false;
  bool no_special_tokens = false, truncates_as_file = false;

  void add_to(CLI::App& command);
  void run(const CLI::App& command);

 private:
  text::EncodeOptions encode_options() const;
  Reader open() const;
  text::Encoding encode(const Reader& reader, const Record& record) const;
  std::string answer(const Reader& reader, const Record& record) const;
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
// says. Modules that are not known have a tokenizer all the same.
Reader Tokens::open() const {
  const std::filesystem::path directory = models::find_model(model);
  models::SentenceFiles files;
  bool is_static = false;
  try {
    files = models::read_sentence_files(directory, role.route());
    const std::filesystem::path first = directory / files.transformer_path;
    is_static = files.is_static() || models::find_model2vec(first, files, {});
  } catch (const Error&) {
    if (role.role || !text::directory_has_tokenizer(directory)) throw;
  }
  if (role.role && files.routes.empty()) {
    throw UsageError(
        "--as: got a model without a Router, expected one: markers and expansion of late "
        "interaction are not shown");
  }
  if (is_static) {
    models::PackageOptions options;
    options.route = role.route();
    models::Package package = models::open_package(model, options);
    if (!package.tokenizer) throw Error(ErrorCode::not_found, package.tokenizer_problem);
    return {.tokenizer = std::move(*package.tokenizer),
            .adds_special_tokens = package.adds_special_tokens,
            .static_model = package.static_model_texts,
            .max_tokens = package.max_tokens};
  }
  const bool is_beside = files.routes.empty() && text::directory_has_tokenizer(directory);
  return {.tokenizer = text::Tokenizer::from_directory(
              is_beside ? directory : directory / files.transformer_path)};
}

text::Encoding Tokens::encode(const Reader& reader, const Record& record) const {
  if (reader.static_model) {
    if (record.pair) {
      throw Error(ErrorCode::invalid_argument,
                  "pair: got one, expected none: model2vec reads one text");
    }
    TextOptions options = text;
    if (!text.max_length && !text.truncation && !truncates_as_file) {
      options.truncation = text::TruncationStrategy::do_not_truncate;
    }
    return encode_static(
        reader.tokenizer, *reader.static_model, record.text,
        static_cut(*reader.static_model, options, text.max_length.value_or(reader.max_tokens)));
  }
  text::EncodeOptions options = encode_options();
  options.add_special_tokens &= reader.adds_special_tokens;
  return record.pair ? reader.tokenizer.encode_pair(record.text, *record.pair, options)
                     : reader.tokenizer.encode(record.text, options);
}

std::string Tokens::answer(const Reader& reader, const Record& record) const {
  const text::Encoding encoding = encode(reader, record);
  return is_json ? tokens_json(encoding) : tokens_table(reader.tokenizer, record, encoding);
}

void Tokens::run(const CLI::App& /*command*/) {
  require_distinct({{"-o", output}}, input.paths(), model);
  input.plain_is_jsonl = is_json;
  const Reader reader = open();
  RecordStream stream(input.inputs());
  OutputFile out(output);
  std::size_t lines = 0, failed = 0;
  std::string first_problem;
  // One answer per line, so that outputs stay beside their inputs.
  const auto fail = [&](const std::string& reason, const std::string& message) {
    if (++failed == 1) first_problem = message;
    out.write(is_json ? tokens_error_json(reason) : fmt::format("error: {}\n", message));
  };
  for (bool at_end = false; !at_end;) {
    Record record;
    try {
      const ReadState state = stream.read(record, false);
      if (state == ReadState::waits) {
        out.flush_pipe();
        at_end = stream.read(record, true) == ReadState::end;
      } else {
        at_end = state == ReadState::end;
      }
    } catch (const BadRecord& e) {
      ++lines;
      fail(e.what(), e.what());
      continue;
    } catch (const Error&) {  // ends the input: the answers before are out
      out.flush_pipe();
      throw;
    }
    if (at_end) break;
    ++lines;
    try {
      out.write(answer(reader, record));
    } catch (const Error& e) {
      fail(e.what(), record.where + ": " + e.what());
    }
  }
  out.finish();
  if (failed != 0) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} of {} lines failed; the first: {}", failed, lines, first_problem));
  }
}

void Tokens::add_to(CLI::App& command) {
  add_option(command, "MODEL", model, "DIR", "Directory with tokenizer files")->required();
  add_option(command, "FILE", input.files, "", "Inputs, one text per line ('-' or none: stdin)");
  command.add_flag(
      "--json", is_json,
      "Read {\"text\": ..., \"pair\": ...} lines, write {\"ids\": [...], \"type_ids\": [...], "
      "\"offsets\": [[begin, end], ...]} lines");
  input.add_lines_to(command);
  auto* pairs =
      command.add_flag("--pairs", input.is_pairs, "Each line is a text, a tab, a second text");
  for (const char* other : {"--jsonl", "--csv", "--tsv"}) {
    pairs->excludes(command.get_option(other));
  }
  command.add_flag("--no-special-tokens", no_special_tokens, "Leave out [CLS], [SEP] and the like");
  command.add_flag("--file-truncation", truncates_as_file,
                   "Truncate where the tokenizer's file says so (embed and classify do)");
  role.add_route_to(command);
  text.add_truncation_to(command);
  add_output(command, output);
  command.footer(
      "Offsets are code points of the input text, the end exclusive; special tokens have 0, 0.\n"
      "Shows every token unless told to truncate; never pads. Static embeddings read no special\n"
      "tokens, model2vec no unknown ones: they are not shown. A line that cannot be\n"
      "truncated as asked, or read, gives {\"error\": ...}, and exit status 1 at the end.\n"
      "Examples:\n"
      "  echo 'Unaffable!' | tessera tokens model\n"
      "  echo '{\"text\": \"a\", \"pair\": \"b\"}' | tessera tokens model --json --max-length 16");
}

}  // namespace

void add_tokens(CLI::App& root) {
  add_command<Tokens>(root, "tokens", "What the tokenizer does, with offsets");
}

}  // namespace tessera::cli
