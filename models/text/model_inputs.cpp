// SPDX-License-Identifier: Apache-2.0
// What a tokenizer class of transformers 4.57 hands to the model beside the ids: type ids, padding.
#include <algorithm>
#include <iterator>

#include "models/text/tokenizer_parts.hpp"

namespace tessera::text {
namespace {

// Classes whose model_input_names lack "token_type_ids". All others have PreTrainedTokenizerBase's.
constexpr std::string_view kWithoutTypes[] = {
    "DistilBertTokenizer", "RetriBertTokenizer", "DPRReaderTokenizer",  "MPNetTokenizer",
    "RobertaTokenizer",    "BartTokenizer",      "LongformerTokenizer", "LEDTokenizer",
    "XLMRobertaTokenizer", "CamembertTokenizer", "BarthezTokenizer",    "BigBirdTokenizer",
    "MBartTokenizer",      "MBart50Tokenizer",   "NllbTokenizer",       "T5Tokenizer",
    "PegasusTokenizer",    "CLIPTokenizer",      "SiglipTokenizer",     "GPT2Tokenizer",
    "GPTNeoXTokenizer",    "LlamaTokenizer",     "CodeLlamaTokenizer",  "GemmaTokenizer",
    "Qwen2Tokenizer",      "CohereTokenizer",    "BloomTokenizer",      "WhisperTokenizer",
};

template <class Range>
bool contains(const Range& names, std::string_view name) noexcept {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

/// The class's own pad token, where no file names another.
std::string_view pad_of_class(std::string_view tokenizer_class) noexcept {
  if (tokenizer_class == "SiglipTokenizer") return "</s>";
  return tokenizer_class == "GemmaTokenizer" ? "<pad>" : "";
}

}  // namespace

bool gives_type_ids(const TokenizerConfig& config) {
  if (config.model_input_names) return contains(*config.model_input_names, "token_type_ids");
  return !contains(kWithoutTypes, config.tokenizer_class);
}

TextPadding text_padding(const TokenizerConfig& config, const TokenizerParts& parts) {
  TextPadding padding;
  if (config.pad) {
    padding.id = parts.id(config.pad->content);
  } else if (parts.padding) {
    padding.id = parts.padding->id;
  } else if (const auto name = pad_of_class(config.tokenizer_class); !name.empty()) {
    padding.id = parts.id(name);
  }
  if (config.tokenizer_class == "GemmaTokenizer") padding.side = Side::left;
  if (parts.padding) padding.side = parts.padding->side;
  if (config.padding_side) padding.side = *config.padding_side;
  padding.is_masked =
      config.model_input_names && contains(*config.model_input_names, "attention_mask");
  return padding;
}

}  // namespace tessera::text
