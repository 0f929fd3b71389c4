// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/token_lines.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "models/text/unicode.hpp"
#include "tessera/pipeline/json_text.hpp"

namespace tessera {
namespace {

// Blanks up to `width` characters; wide characters count as one.
void append_padded(std::string& out, std::string_view text, std::size_t width) {
  out += text;
  const std::size_t length = text::count_code_points(text);
  if (length < width) out.append(width - length, ' ');
}

}  // namespace

std::string tokens_json(const text::Encoding& encoding) {
  std::string line = "{\"ids\": ";
  line += fmt::format("[{}]", fmt::join(encoding.ids, ", "));
  line += ", \"type_ids\": ";
  line += fmt::format("[{}]", fmt::join(encoding.type_ids, ", "));
  line += ", \"offsets\": [";
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    fmt::format_to(std::back_inserter(line), "{}[{}, {}]", i == 0 ? "" : ", ",
                   encoding.offsets[i][0], encoding.offsets[i][1]);
  }
  line += "]}\n";
  return line;
}

std::string tokens_error_json(std::string_view message) {
  std::string line = "{\"error\": ";
  append_json_string(line, message);
  return line + "}\n";
}

std::string tokens_table(const text::Tokenizer& tokenizer, const Record& record,
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
      append_json_string(out, code_points(is_second ? second : first, begin, end));
    }
    out += '\n';
  }
  return out;
}

}  // namespace tessera
