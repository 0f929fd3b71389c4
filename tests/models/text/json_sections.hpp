// SPDX-License-Identifier: Apache-2.0
// The texts of small tokenizer files.
#pragma once

#include <string>
#include <string_view>

namespace tessera::text {

/// ids: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, then words.
inline constexpr std::string_view kVocabTxt =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\nun\n##aff\n##able\n,\n!\n\u4E2D\nfoo\n";

/// A tokenizer.json of the same vocabulary. Each argument is the JSON of its section.
struct JsonSections {
  std::string truncation = "null";
  std::string padding = "null";
  std::string added_tokens = R"([
    {"id": 0, "content": "[PAD]", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
    {"id": 2, "content": "[CLS]", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
    {"id": 3, "content": "[SEP]", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
    {"id": 4, "content": "[MASK]", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}])";
  std::string normalizer =
      R"({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true})";
  std::string pre_tokenizer = R"({"type": "BertPreTokenizer"})";
  std::string post_processor =
      R"({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]})";
  std::string model =
      R"({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
          "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "hello": 5, "world": 6, "un": 7,
                    "##aff": 8, "##able": 9, ",": 10, "!": 11, "\u4E2D": 12, "foo": 13}})";

  std::string text() const {
    return R"({"version": "1.0", "truncation": )" + truncation + R"(, "padding": )" + padding +
           R"(, "added_tokens": )" + added_tokens + R"(, "normalizer": )" + normalizer +
           R"(, "pre_tokenizer": )" + pre_tokenizer + R"(, "post_processor": )" + post_processor +
           R"(, "decoder": null, "model": )" + model + "}";
  }
};

}  // namespace tessera::text
