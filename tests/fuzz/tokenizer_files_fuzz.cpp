// SPDX-License-Identifier: Apache-2.0
// The other files of tokenizers: vocab.txt, vocab.json, merges.txt, and the settings beside them.
// The first byte says which file of a directory the rest is.
#include <array>

#include "tests/fuzz/tokenize.hpp"
#include "tests/models/text/json_sections.hpp"
#include "tests/models/text/small_sentencepiece.hpp"

namespace tessera::fuzz {
namespace {

constexpr std::string_view kVocabJson =
    R"({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "h": 4, "e": 5, "l": 6, "o": 7, "he": 8,
        "ll": 9, "hell": 10, "Ġ": 11, "Ġhell": 12, "a": 13, "aa": 14, "<mask>": 15,
        "<|startoftext|>": 16, "<|endoftext|>": 17, "a</w>": 18})";
constexpr std::string_view kMerges = "#version: 0.2\nl l\nh e\nhe ll\nĠ hell\na a\na a</w>\n";
constexpr std::string_view kConfig =
    R"({"tokenizer_class": "BertTokenizer", "do_lower_case": false, "model_max_length": 16,
        "strip_accents": true, "tokenize_chinese_chars": false, "truncation_side": "left",
        "cls_token": "[CLS]", "sep_token": {"content": "[SEP]", "lstrip": true},
        "added_tokens_decoder": {"14": {"content": "foo", "single_word": true, "special": false}},
        "additional_special_tokens": ["!"]})";
constexpr std::string_view kSpieceConfig =
    R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 3, "legacy": false, "add_prefix_space": true})";

using Files = std::map<std::string, std::string_view>;

Files directory_of(unsigned char choice, std::string_view file) {
  static const std::string json = text::JsonSections{}.text();
  static const std::string spiece = [] {
    text::SmallSentencePiece m;
    m.pieces = {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}, {"▁", -2}, {"a", -1}};
    return m.bytes();
  }();
  switch (choice % 9) {
    case 0:
      return {{"vocab.txt", file}};
    case 1:
      return {{"vocab.json", file}, {"merges.txt", kMerges}};
    case 2:
      return {{"vocab.json", kVocabJson}, {"merges.txt", file}};
    case 3:
      return {{"vocab.txt", text::kVocabTxt}, {"tokenizer_config.json", file}};
    case 4:
      return {{"tokenizer.json", json}, {"tokenizer_config.json", file}};
    case 5:
      return {{"vocab.txt", text::kVocabTxt}, {"special_tokens_map.json", file}};
    case 6:
      return {{"vocab.txt", text::kVocabTxt}, {"added_tokens.json", file}};
    case 7:
      return {{"spiece.model", spiece}, {"tokenizer_config.json", file}};
    default:
      return {{"vocab.json", kVocabJson}, {"merges.txt", kMerges}, {"tokenizer_config.json", file}};
  }
}

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const auto choice = static_cast<unsigned char>(input.front());
  try_tokenizer(directory_of(choice, input.substr(1)));
}

Seeds seeds() {
  Seeds out;
  const auto add = [&](int choice, std::string_view file) {
    out.emplace_back("file" + std::to_string(choice),
                     static_cast<char>('?' + choice) + std::string(file));  // '?' is 63, of 9s
  };
  add(0, text::kVocabTxt);
  add(1, kVocabJson);
  add(2, kMerges);
  add(3, kConfig);
  add(4, kConfig);
  add(5, R"({"unk_token": "[UNK]", "mask_token": {"content": "[MASK]", "lstrip": true}})");
  add(6, R"({"foo": 13, "new": 14})");
  add(7, kSpieceConfig);
  add(8,
      R"({"tokenizer_class": "RobertaTokenizer", "add_prefix_space": true, "errors": "replace"})");
  return out;
}

}  // namespace tessera::fuzz
