// SPDX-License-Identifier: Apache-2.0
// Inputs of the tool: lines of text, pairs, JSON lines, ids, CSV and TSV, in every encoding. The first
// byte is the format, the second the encoding and the options of tables. Any bytes give records of valid
// UTF-8, records that are bad by name, or an Error.
#include <algorithm>
#include <array>

#include "models/text/unicode.hpp"
#include "tessera/pipeline/records.hpp"
#include "tests/fuzz/input_file.hpp"

namespace tessera::fuzz {
namespace {

constexpr std::array kFormats = {LineFormat::text, LineFormat::pairs, LineFormat::jsonl,
                                 LineFormat::ids,  LineFormat::csv,   LineFormat::tsv};

RecordOptions options_of(unsigned char format, unsigned char other) {
  RecordOptions options{.format = kFormats[format % kFormats.size()]};
  options.encoding = kTextEncodings[other % 8 % kTextEncodings.size()];
  options.columns.has_header = (other & 8) != 0;
  options.columns.has_quotes = (other & 16) == 0;
  options.columns.last_by_default = (other & 32) != 0;
  if ((other & 64) != 0) options.columns.text = "2";
  if ((other & 128) != 0) options.columns.pair = options.keys.id = "id";
  return options;
}

void require_texts(const Record& record, TextEncoding encoding) {
  if (encoding == TextEncoding::utf8_replace)
    return;  // what is invalid is replaced where it is read
  const auto is_valid = [](std::string_view text) {
    return text::replace_invalid_utf8(text) == text;
  };
  require(is_valid(record.text) && is_valid(record.pair.value_or("")), "a text is UTF-8");
  require(std::all_of(record.columns.begin(), record.columns.end(), is_valid), "columns are UTF-8");
}

}  // namespace

void run(std::string_view input) {
  if (input.size() < 2) return;
  const RecordOptions options =
      options_of(static_cast<unsigned char>(input[0]), static_cast<unsigned char>(input[1]));
  const std::string_view bytes = input.substr(2);
  const InputFile file(bytes);
  RecordReader reader(file.path(), options);
  Record record;
  std::size_t line = 0, records = 0;
  for (bool goes_on = true; goes_on;) {
    try {
      goes_on = reader.next(record);
      if (!goes_on) break;
      require(record.line > line, "lines rise");
      line = record.line;
      require_texts(record, options.encoding);
      require(record.type_ids.empty() || record.type_ids.size() == record.ids.size(),
              "type ids are as many as ids");
    } catch (const BadRecord& bad) {
      check_message(bad);
    }
    require(++records <= bytes.size() + 1, "a record has at least a byte");
  }
}

Seeds seeds() {
  Seeds out;
  const auto add = [&out](const char* name, char format, char other, std::string_view bytes) {
    out.emplace_back(name, std::string{format, other} + std::string(bytes));
  };
  // '0' is format 0; '8' is encoding 0 with a header, '0' without.
  add("text", '0', '0', "hello\r\nworld\xC3\xA9\n\n\xEF\xBB\xBFlast");
  add("replaced", '0', '1', "a\xFF\nb\xC3\rc");
  add("utf16", '0', '2', std::string_view("\xFF\xFEh\0i\0\n\0", 8));
  add("utf16be", '0', '4', std::string_view("\0h\xD8\x3D\xDE\0\0\n", 8));
  add("latin1", '0', '5', "caf\xE9\n");
  add("cp1252", '0', '6', "\x80 5\n");
  add("pairs", '1', '0', "a query\ta text\nno tab\n");
  add("jsonl", '2', '0', R"({"text": "a \ud83d\ude00 \ud800", "id": [1, {"a": 2}], "pair": "b"}
{"id": 7}
["text"]
)");
  add("ids", '3', '0', "101 2023, 102\n{\"ids\": [101, 102], \"type_ids\": [0, 1], \"id\": 3}\n");
  add("csv", '4', '8', "id,text,pair\r\n1,\"a \"\"b\"\",\nc\",d\r\n2,e\r\n");
  add("csv-columns", '4', 'x', "a,b,c\n1,2,3\n");
  add("tsv", '5', '0', "a\tb\n\"c\"\td\n");
  return out;
}

}  // namespace tessera::fuzz
