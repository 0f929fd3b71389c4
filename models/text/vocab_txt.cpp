// SPDX-License-Identifier: Apache-2.0
// vocab.txt: one token a line, the id is the line number from 0. The rest is what BertTokenizer and
// MPNetTokenizer of transformers 4.x set up from tokenizer_config.json (convert_slow_tokenizer.py).
#include <fmt/format.h>

#include <algorithm>

#include "models/json.hpp"
#include "models/text/tokenizer_parts.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera::text {
namespace {

// The special tokens and the template of a family of tokenizer classes.
struct Family {
  SpecialTokenNames names;
  Template (*make_template)(std::int32_t cls, std::int32_t sep);
};

constexpr Family kBert{kBertTokens, &Template::bert};
constexpr Family kMpnet{kMpnetTokens, &Template::roberta};

const Family& family_of(const std::string& tokenizer_class) {
  if (tokenizer_class == "MPNetTokenizer") return kMpnet;
  if (tokenizer_class.empty() || is_bert_tokenizer(tokenizer_class)) return kBert;
  throw Error(
      ErrorCode::unsupported_model,
      fmt::format("tokenizer_config.json: tokenizer_class is \"{}\", which is not supported from a "
                  "vocab.txt; expected BertTokenizer, MPNetTokenizer or one like them, or a "
                  "tokenizer.json (token ids can be given instead of text)",
                  tokenizer_class));
}

// Lines end in LF or CR LF; blanks are part of a token.                  BertTokenizer load_vocab
std::string_view without_cr(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Vocabulary read_vocabulary(const std::filesystem::path& file) {
  const std::string content = json::read_text(file);
  std::string_view rest(content.data(), content.size());
  Vocabulary vocabulary;
  for (std::int32_t id = 0; !rest.empty(); ++id) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    if (!is_utf8(line)) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("vocab.txt: line {} is not UTF-8, expected one token", id + 1));
    }
    vocabulary.add(without_cr(line), id);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  vocabulary.finish();
  return vocabulary;
}

AddedToken named_or(const std::optional<AddedToken>& named, const char* otherwise,
                    bool lstrip = false) {
  if (named) return *named;
  AddedToken token;
  token.content = otherwise;
  token.lstrip = lstrip;
  return token;
}

std::int32_t require_id(const Vocabulary& vocabulary, const AddedToken& token, const char* role) {
  if (const auto id = vocabulary.id(token.content)) return *id;
  throw Error(
      ErrorCode::corrupt_file,
      fmt::format(
          "vocab.txt: none of its {} tokens is \"{}\", expected the {} there (or another one "
          "named in tokenizer_config.json)",
          vocabulary.size(), token.content, role));
}

}  // namespace

std::shared_ptr<TokenizerParts> read_vocab_txt(const std::filesystem::path& directory,
                                               const TokenizerConfig& config) {
  const Family& family = family_of(config.tokenizer_class);
  Vocabulary vocabulary = read_vocabulary(directory / "vocab.txt");
  const AddedToken unk = named_or(config.unk, family.names.unk);
  const AddedToken sep = named_or(config.sep, family.names.sep);
  const AddedToken pad = named_or(config.pad, family.names.pad);
  const AddedToken cls = named_or(config.cls, family.names.cls);
  const AddedToken mask = named_or(config.mask, family.names.mask, family.names.mask_takes_space);
  require_id(vocabulary, unk, "unk_token");
  const std::int32_t cls_id = require_id(vocabulary, cls, "cls_token");
  const std::int32_t sep_id = require_id(vocabulary, sep, "sep_token");

  WordPieceConfig wordpiece;
  wordpiece.unk_token = unk.content;
  auto parts =
      std::make_shared<TokenizerParts>(WordModel(WordPiece(std::move(vocabulary), wordpiece)));
  parts->info.file = "vocab.txt";
  BertNormalizer normalizer;
  normalizer.lowercase = config.do_lower_case.value_or(true);
  normalizer.strip_accents = config.strip_accents;
  normalizer.handle_chinese_chars = config.tokenize_chinese_chars.value_or(true);
  parts->normalizer.steps.emplace_back(normalizer);
  parts->pre_tokenizer = PreTokenizer::bert();
  parts->post = family.make_template(cls_id, sep_id);

  // A special token that neither the vocabulary nor added_tokens.json has would get an id that the
  // model's embedding lacks, so it stays ordinary text.
  std::vector<AddedToken> added = config.listed();
  for (const AddedToken& token : {unk, sep, pad, cls, mask}) {
    const bool listed = std::any_of(added.begin(), added.end(), [&](const AddedToken& t) {
      return t.content == token.content;
    });
    if (!listed && parts->model.vocabulary().id(token.content)) added.push_back(token);
  }
  parts->added.add(added, parts->model.vocabulary(), parts->normalizer);
  return parts;
}

}  // namespace tessera::text
