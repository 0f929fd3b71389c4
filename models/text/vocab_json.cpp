// SPDX-License-Identifier: Apache-2.0
// vocab.json (tokens and their ids) and merges.txt (one pair a line, earliest first) without a
// tokenizer.json: what RobertaTokenizer and CLIPTokenizer of transformers 4.x set up
// (convert_slow_tokenizer.py).
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "models/text/tokenizer_json.hpp"
#include "models/text/tokenizer_parts.hpp"

namespace tessera::text {
namespace {

std::vector<BytePairs::Merge> read_merges(const std::filesystem::path& file) {
  const std::string content = json::read_text(file);
  std::string_view rest(content.data(), content.size());
  std::vector<BytePairs::Merge> merges;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    auto merge = split_merge(line);
    if (!merge) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("merges.txt: line {} is \"{}\", expected two tokens with a space "
                              "between",
                              number, line.substr(0, 80)));
    }
    merges.push_back(*std::move(merge));
  }
  return merges;
}

std::string named_or(const std::optional<AddedToken>& named, const char* otherwise) {
  return named ? named->content : otherwise;
}

constexpr std::string_view kClipWords =
    R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";

// The words of CLIP: NFC, one space for every run of white space, lower case.
void set_up_clip(TokenizerParts& parts) {
  const std::string_view where = "CLIPTokenizer";
  parts.normalizer.steps = {UnicodeForm::nfc, ReplacePatternNormalizer{Regex("\\s+", where), U" "},
                            LowercaseNormalizer{}};
  parts.pre_tokenizer.rules = {
      SplitRule::at_pattern(Regex(kClipWords, where), SplitBehavior::removed, true),
      SplitRule::gpt2()};
}

}  // namespace

std::shared_ptr<TokenizerParts> read_vocab_json(const std::filesystem::path& directory,
                                                const TokenizerConfig& config) {
  Vocabulary vocabulary = read_vocabulary(json::Document::read(directory / "vocab.json").root());
  const std::string& name = config.tokenizer_class;
  const bool is_clip =
      (name.empty() || name == "CLIPTokenizer") && vocabulary.id(kClipTokens.cls).has_value();
  if (!is_clip && !name.empty() && !is_roberta_tokenizer(name)) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("tokenizer_config.json: tokenizer_class is \"{}\", which is not "
                            "supported from a vocab.json; expected RobertaTokenizer, CLIPTokenizer "
                            "or one like them, or a tokenizer.json (token ids can be given instead "
                            "of text)",
                            name));
  }
  const SpecialTokenNames& form = is_clip ? kClipTokens : kRobertaTokens;
  const std::string cls = named_or(config.cls, form.cls);
  const std::string sep = named_or(config.sep, form.sep);
  const auto require = [&](const std::string& token) {
    if (const auto id = vocabulary.id(token)) return *id;
    throw Error(ErrorCode::corrupt_file,
                fmt::format("vocab.json: none of its {} tokens is \"{}\", expected the token that "
                            "opens or closes a text",
                            vocabulary.size(), token));
  };
  Template post = Template::roberta(require(cls), require(sep));
  post.trim_offsets = !is_clip;
  post.add_prefix_space = !is_clip && config.add_prefix_space.value_or(false);

  BytePairsConfig pairs;
  if (is_clip) {
    pairs.unk_token = named_or(config.unk, form.unk);
    pairs.end_of_word_suffix = "</w>";
  }
  auto parts = std::make_shared<TokenizerParts>(WordModel(BytePairs(
      std::move(vocabulary), read_merges(directory / "merges.txt"), pairs, "merges.txt")));
  parts->info.file = "vocab.json";
  parts->post = std::move(post);
  if (parts->post.add_prefix_space) parts->pre_tokenizer.rules.push_back({SplitAt::prefix_space});
  parts->pre_tokenizer.rules.push_back(SplitRule::gpt2());
  if (is_clip) set_up_clip(*parts);

  std::vector<AddedToken> added = config.listed();
  for (const std::string& token :
       {cls, named_or(config.pad, form.pad), sep, named_or(config.unk, form.unk),
        named_or(config.mask, form.mask)}) {
    const bool listed = std::any_of(added.begin(), added.end(),
                                    [&](const AddedToken& t) { return t.content == token; });
    if (listed || !parts->model.vocabulary().id(token)) continue;
    AddedToken& t = added.emplace_back();
    t.content = token;
    t.lstrip = token == kRobertaTokens.mask;
    t.normalized = true;
  }
  parts->added.add(added, parts->model.vocabulary(), parts->normalizer);
  return parts;
}

}  // namespace tessera::text
