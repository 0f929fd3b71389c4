// SPDX-License-Identifier: Apache-2.0
// The settings of tokenizer_config.json over a tokenizer.json: what the class that it names does
// after it has read the file (transformers 4.57: PreTrainedTokenizerFast.__init__ and
// BertTokenizerFast.__init__, whose text other classes repeat).
//
//   BERT's classes    do_lower_case (true unless said), strip_accents (null), tokenize_chinese_chars
//                     (true) take the place of what a BertNormalizer says; where no file names a
//                     class, those that are said; without a tokenizer_config.json the
//                     tokenizer.json stands as it is
//   every class       add_prefix_space, where it is said, of a ByteLevel pre-tokenizer
//                     added_tokens_decoder: tokens that the file lacks or lists with other flags
//                     unk, sep, pad, cls, mask and additional tokens that the file does not list
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "models/text/tokenizer_json.hpp"
#include "models/text/tokenizer_parts.hpp"

namespace tessera::text {
namespace {

constexpr std::string_view kLikeBert[] = {
    "BertTokenizer",      "DistilBertTokenizer",
    "ElectraTokenizer",   "MobileBertTokenizer",
    "ConvBertTokenizer",  "SqueezeBertTokenizer",
    "LayoutLMTokenizer",  "RetriBertTokenizer",
    "FunnelTokenizer",    "LxmertTokenizer",
    "MPNetTokenizer",     "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer", "DPRContextEncoderTokenizer",
};

// Classes that never read a tokenizer.json: words come from elsewhere.
constexpr std::string_view kWithoutJson[] = {
    "BertJapaneseTokenizer", "BertweetTokenizer", "PhobertTokenizer", "FlaubertTokenizer",
    "XLMTokenizer",          "BartphoTokenizer",  "CanineTokenizer",  "TapasTokenizer",
};

template <std::size_t N>
bool contains(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
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
  if (!config.exists || !(name.empty() || contains(kLikeBert, name))) return;
  if (parts.normalizer.as_bert() == nullptr) return;
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

// Only where ByteLevel is the whole pre-tokenizer: the reference looks at no Sequence.
void set_prefix_space(const TokenizerConfig& config, TokenizerParts& parts) {
  if (!config.add_prefix_space || !parts.model.is_byte_level()) return;
  std::vector<SplitRule>& rules = parts.pre_tokenizer.rules;
  const bool has = !rules.empty() && rules.front().at == SplitAt::prefix_space;
  if (rules.size() > (has ? 2U : 1U)) return;
  if (has == *config.add_prefix_space) return;
  note("add_prefix_space", parts);
  if (has) rules.erase(rules.begin());
  if (!has) rules.insert(rules.begin(), {SplitAt::prefix_space});
  parts.post.add_prefix_space = parts.post.trim_offsets && *config.add_prefix_space;
}

}  // namespace

void apply_settings(const TokenizerConfig& config, TokenizerParts& parts) {
  if (contains(kWithoutJson, config.tokenizer_class)) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("tokenizer_config.json: tokenizer_class is \"{}\", which finds words in "
                    "its own way, expected one that reads tokenizer.json (token ids can be "
                    "given instead of text: --ids)",
                    config.tokenizer_class));
  }
  set_case(config, parts);
  set_prefix_space(config, parts);
}

std::vector<AddedToken> with_settings(std::vector<AddedToken> tokens,
                                      const TokenizerConfig& config) {
  const auto find = [&](const AddedToken& token) {
    return std::find_if(tokens.begin(), tokens.end(),
                        [&](const AddedToken& t) { return t.content == token.content; });
  };
  const std::optional<AddedToken>* const named[] = {&config.unk, &config.sep, &config.pad,
                                                    &config.cls, &config.mask};
  for (AddedToken token : config.extra) {
    for (const auto* each : named) {
      if (*each && (*each)->content == token.content) token.special = true;
    }
    const auto known = find(token);
    if (known == tokens.end()) {
      tokens.push_back(std::move(token));
    } else {
      *known = std::move(token);
    }
  }
  for (const auto* each : named) {
    if (!*each || find(**each) != tokens.end()) continue;
    tokens.push_back(**each);
    tokens.back().special = true;
  }
  return tokens;
}

}  // namespace tessera::text
