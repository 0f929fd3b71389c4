// SPDX-License-Identifier: Apache-2.0
// The settings of tokenizer_config.json over a tokenizer.json: what the class that it names does
// after it has read the file (transformers 4.57: PreTrainedTokenizerFast.__init__ and
// BertTokenizerFast.__init__, whose text other classes repeat).
//
//   BERT's classes    do_lower_case (true unless said), strip_accents (null), tokenize_chinese_chars
//                     (true) take the place of what a BertNormalizer says; where no file names a
//                     class, those that are said; without a tokenizer_config.json the
//                     tokenizer.json stands as it is
//   every class       add_prefix_space (false unless said) of a ByteLevel pre-tokenizer
//                     added_tokens_decoder: tokens that the file lacks or lists with other flags
//                     then bos, eos, unk, sep, pad, cls, mask, and additional tokens that the file
//                     does not list
// A BertNormalizer or ByteLevel that is a step of a Sequence is left as it is.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "models/text/tokenizer_json.hpp"
#include "models/text/tokenizer_parts.hpp"

namespace tessera::text {
namespace {

constexpr std::string_view kBert[] = {
    "BertTokenizer",      "DistilBertTokenizer",
    "ElectraTokenizer",   "MobileBertTokenizer",
    "ConvBertTokenizer",  "SqueezeBertTokenizer",
    "LayoutLMTokenizer",  "RetriBertTokenizer",
    "FunnelTokenizer",    "LxmertTokenizer",
    "MPNetTokenizer",     "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer", "DPRContextEncoderTokenizer",
};

constexpr std::string_view kRoberta[] = {"RobertaTokenizer", "BartTokenizer",
                                         "LongformerTokenizer"};

// Classes that never read a tokenizer.json: words come from elsewhere.
constexpr std::string_view kWithoutJson[] = {
    "BertJapaneseTokenizer", "BertweetTokenizer", "PhobertTokenizer", "FlaubertTokenizer",
    "XLMTokenizer",          "BartphoTokenizer",  "CanineTokenizer",  "TapasTokenizer",
};

template <std::size_t N>
bool contains(const std::string_view (&names)[N], std::string_view name) noexcept {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

/// Whose settings of case and accents are BERT's: its classes, and those with other special tokens.
bool has_bert_settings(std::string_view name) {
  return is_bert_tokenizer(name) || name == "MPNetTokenizer" || name == "FunnelTokenizer";
}

void note(std::string_view setting, TokenizerParts& parts) {
  parts.info.settings +=
      fmt::format("{}{}", parts.info.settings.empty() ? "tokenizer_config.json: " : ", ", setting);
}

template <class T>
void set(T& value, T wanted, std::string_view key, TokenizerParts& parts) {
  if (value == wanted) return;
  value = wanted;
  note(key, parts);
}

void set_case(const TokenizerConfig& config, TokenizerParts& parts) {
  const std::string& name = config.tokenizer_class;
  if (!name.empty() && !has_bert_settings(name)) return;
  auto& bert = std::get<BertNormalizer>(parts.normalizer.steps.front());
  // A class that nobody names has no defaults.
  const bool has_defaults = !name.empty();
  set(bert.lowercase, config.do_lower_case.value_or(has_defaults || bert.lowercase),
      "do_lower_case", parts);
  if (has_defaults || config.strip_accents) {
    set(bert.strip_accents, config.strip_accents, "strip_accents", parts);
  }
  if (name == "MPNetTokenizer") return;
  set(bert.handle_chinese_chars,
      config.tokenize_chinese_chars.value_or(has_defaults || bert.handle_chinese_chars),
      "tokenize_chinese_chars", parts);
}

void set_prefix_space(bool wanted, TokenizerParts& parts) {
  std::vector<SplitRule>& rules = parts.pre_tokenizer.rules;
  const bool has = !rules.empty() && rules.front().at == SplitAt::prefix_space;
  if (has == wanted) return;
  note("add_prefix_space", parts);
  if (has) rules.erase(rules.begin());
  if (!has) rules.insert(rules.begin(), {SplitAt::prefix_space});
  parts.post.add_prefix_space = parts.post.trim_offsets && wanted;
}

// The tokens that a class has where no file names others.
const SpecialTokenNames* default_tokens(std::string_view tokenizer_class) {
  if (is_bert_tokenizer(tokenizer_class)) return &kBertTokens;
  if (is_roberta_tokenizer(tokenizer_class)) return &kRobertaTokens;
  if (tokenizer_class == "MPNetTokenizer") return &kMpnetTokens;
  return tokenizer_class == "CLIPTokenizer" ? &kClipTokens : nullptr;
}

std::vector<AddedToken> default_tokens(const TokenizerConfig& config,
                                       const Vocabulary& vocabulary) {
  const SpecialTokenNames* const names =
      config.exists ? default_tokens(config.tokenizer_class) : nullptr;
  std::vector<AddedToken> tokens;
  if (names == nullptr) return tokens;
  const std::pair<const std::optional<AddedToken>*, const char*> roles[] = {
      {&config.unk, names->unk}, {&config.sep, names->sep},   {&config.pad, names->pad},
      {&config.cls, names->cls}, {&config.mask, names->mask},
  };
  for (const auto& [named, name] : roles) {
    // What the vocabulary lacks would get an id that the model's embedding lacks.
    if (*named || !vocabulary.id(name)) continue;
    AddedToken& token = tokens.emplace_back();
    token.content = name;
    token.lstrip = names->mask_takes_space && name == names->mask;
  }
  return tokens;
}

}  // namespace

bool is_bert_tokenizer(std::string_view tokenizer_class) noexcept {
  return contains(kBert, tokenizer_class);
}

bool is_roberta_tokenizer(std::string_view tokenizer_class) noexcept {
  return contains(kRoberta, tokenizer_class);
}

void apply_settings(const TokenizerConfig& config, const LoneSteps& lone, TokenizerParts& parts) {
  if (contains(kWithoutJson, config.tokenizer_class)) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("tokenizer_config.json: tokenizer_class is \"{}\", which finds words in "
                    "its own way, expected one that reads tokenizer.json (token ids can be "
                    "given instead of text)",
                    config.tokenizer_class));
  }
  if (!config.exists) return;
  if (lone.bert_normalizer) set_case(config, parts);
  if (lone.byte_level) set_prefix_space(config.add_prefix_space.value_or(false), parts);
}

std::vector<AddedToken> with_settings(std::vector<AddedToken> tokens, const TokenizerConfig& config,
                                      const Vocabulary& vocabulary) {
  // Of a token that is listed twice AddedTokens takes the later flags.
  tokens.insert(tokens.end(), config.decoder.begin(), config.decoder.end());
  std::unordered_set<std::string> special, known;
  for (const AddedToken& token : tokens) known.insert(token.content);
  std::vector<AddedToken> more;
  for (const AddedToken* token : config.named()) more.push_back(*token);
  for (const std::vector<AddedToken>& others :
       {default_tokens(config, vocabulary), config.additional}) {
    more.insert(more.end(), others.begin(), others.end());
  }
  for (AddedToken& token : more) {
    special.insert(token.content);
    token.special = true;
    if (known.insert(token.content).second) tokens.push_back(std::move(token));
  }
  for (AddedToken& token : tokens) token.special |= special.contains(token.content);
  return tokens;
}

}  // namespace tessera::text
