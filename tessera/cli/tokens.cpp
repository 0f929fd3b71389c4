// SPDX-License-Identifier: Apache-2.0
// tessera tokens: what the tokenizer makes of each line. Needs the tokenizer files of a model only.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>

#include "models/sentence/files.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "tessera/cli/input.hpp"
#include "tessera/cli/json.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

struct Tokens {
  std::string model;
  InputFlags input;
  TextFlags text;
  std::string output = "-";
  bool is_json = false;
  bool no_special_tokens = false;
  bool truncates_as_file = false;

  text::EncodeOptions encode_options() const;
  void run() const;
};

text::EncodeOptions Tokens::encode_options() const {
  const TextOptions wanted = text.text_options();
  text::EncodeOptions options;
  options.add_special_tokens = !no_special_tokens;
  if (wanted.max_length) options.max_length = static_cast<std::size_t>(*wanted.max_length);
  options.truncation = wanted.truncation;
  options.truncation_side = wanted.truncation_side;
  // As the reference's AutoTokenizer: a truncation that stands in tokenizer.json applies when asked
  // for.
  options.use_file_truncation = truncates_as_file || wanted.truncation.has_value();
  return options;
}

void append_ids(std::string& out, const std::vector<std::int32_t>& ids) {
  out += '[';
  for (std::size_t i = 0; i < ids.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "{}{}", i == 0 ? "" : ", ", ids[i]);
  }
  out += ']';
}

// {"ids": [...], "type_ids": [...], "offsets": [[begin, end], ...]}
std::string json_line(const text::Encoding& encoding) {
  std::string line = "{\"ids\": ";
  append_ids(line, encoding.ids);
  line += ", \"type_ids\": ";
  append_ids(line, encoding.type_ids);
  line += ", \"offsets\": [";
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    fmt::format_to(std::back_inserter(line), "{}[{}, {}]", i == 0 ? "" : ", ",
                   encoding.offsets[i][0], encoding.offsets[i][1]);
  }
  line += "]}\n";
  return line;
}

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// Blanks up to `width` characters; wide characters count as one.
void append_padded(std::string& out, std::string_view text, std::size_t width) {
  out += text;
  const std::size_t length = text::count_code_points(text);
  if (length < width) out.append(width - length, ' ');
}

// A table: number, id, type, offsets, token, the text that it covers.
std::string table(const text::Tokenizer& tokenizer, const Record& record,
                  const text::Encoding& encoding) {
  const std::string first = text::replace_invalid_utf8(record.text);
  const std::string second = text::replace_invalid_utf8(record.pair.value_or(""));
  std::string out = fmt::format("{}: {} tokens\n", record.where, encoding.size());
  std::size_t token_width = 5;
  for (const std::int32_t id : encoding.ids) {
    token_width = std::max(token_width, text::count_code_points(tokenizer.token(id)));
  }
  fmt::format_to(std::back_inserter(out), "{:>6}  {:>7}  {:>4}  {:>11}  {:<{}}  {}\n", "#", "id",
                 "type", "offsets", "token", token_width, "text");
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const auto [begin, end] = encoding.offsets[i];
    fmt::format_to(std::back_inserter(out), "{:>6}  {:>7}  {:>4}  {:>11}  ", i, encoding.ids[i],
                   encoding.type_ids[i], fmt::format("{}-{}", begin, end));
    const bool is_special = encoding.special_mask[i] != 0;
    if (is_special) {
      out += tokenizer.token(encoding.ids[i]);
    } else {
      append_padded(out, tokenizer.token(encoding.ids[i]), token_width + 2);
      const bool is_second = record.pair && encoding.type_ids[i] != 0;
      out += quoted(code_points(is_second ? second : first, begin, end));
    }
    out += '\n';
  }
  return out;
}

// sentence-transformers may keep the Transformer and its tokenizer in a folder, as modules.json
// says.
std::filesystem::path tokenizer_directory(const std::filesystem::path& model) {
  if (text::directory_has_tokenizer(model) || !std::filesystem::exists(model / "modules.json")) {
    return model;
  }
  return model / models::read_sentence_files(model).transformer_path;
}

void Tokens::run() const {
  const text::Tokenizer tokenizer = text::Tokenizer::from_directory(tokenizer_directory(model));
  const text::EncodeOptions options = encode_options();
  const bool reads_json = is_json || input.is_jsonl || format_of(input.file) == LineFormat::jsonl;
  RecordReader reader(input.file, input.is_pairs ? LineFormat::pairs
                                  : reads_json   ? LineFormat::jsonl
                                                 : LineFormat::text);
  OutputFile out(output);
  Record record;
  std::size_t failed = 0;
  std::string first_problem;
  while (reader.next(record)) {
    std::string answer;
    try {
      const text::Encoding encoding =
          record.pair ? tokenizer.encode_pair(record.text, *record.pair, options)
                      : tokenizer.encode(record.text, options);
      answer = is_json ? json_line(encoding) : table(tokenizer, record, encoding);
    } catch (const Error& e) {
      // One answer per line, so that outputs stay beside their inputs.
      if (++failed == 1) first_problem = record.where + ": " + e.what();
      answer = is_json ? fmt::format("{{\"error\": {}}}\n", quoted(e.what()))
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

}  // namespace

void add_tokens(CLI::App& root) {
  auto* command = root.add_subcommand("tokens", "What the tokenizer does, with offsets");
  auto flags = std::make_shared<Tokens>();
  command->add_option("MODEL", flags->model, "Directory with tokenizer files")
      ->required()
      ->type_name("DIR");
  flags->input.add_file_to(*command);
  command->add_flag(
      "--json", flags->is_json,
      "Read {\"text\": ..., \"pair\": ...} lines, write {\"ids\": [...], \"type_ids\": [...], "
      "\"offsets\": [[begin, end], ...]} lines");
  auto* jsonl =
      command->add_flag("--jsonl", flags->input.is_jsonl, "Read JSON lines, write tables");
  command->add_flag("--pairs", flags->input.is_pairs, "Each line is a text, a tab, a second text")
      ->excludes(jsonl);
  command->add_flag("--no-special-tokens", flags->no_special_tokens,
                    "Leave out [CLS], [SEP] and the like");
  command->add_flag("--file-truncation", flags->truncates_as_file,
                    "Truncate where the tokenizer's file says so (embed and classify do)");
  flags->text.add_truncation_to(*command);
  command
      ->add_option("-o,--output", flags->output, "Write to FILE, which appears when it is complete")
      ->type_name("FILE");
  command->footer(
      "Offsets are code points of the input text, the end exclusive; special tokens have 0, 0.\n"
      "Shows every token unless told to truncate; never pads. A line that cannot be\n"
      "truncated as asked gives {\"error\": ...}, and exit status 1 at the end.\n"
      "Examples:\n"
      "  echo 'Unaffable!' | tessera tokens model\n"
      "  echo '{\"text\": \"a\", \"pair\": \"b\"}' | tessera tokens model --json --max-length 16");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
