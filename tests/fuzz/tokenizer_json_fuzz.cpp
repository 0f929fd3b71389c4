// SPDX-License-Identifier: Apache-2.0
// Any tokenizer.json gives a tokenizer or an Error; what it gives encodes texts.
#include "tests/fuzz/tokenize.hpp"
#include "tests/models/text/json_sections.hpp"

namespace tessera::fuzz {

void run(std::string_view input) {
  try_tokenizer({{"tokenizer.json", input}});
}

Seeds seeds() {
  using text::JsonSections;
  Seeds out = {{"wordpiece", JsonSections{}.text()}};
  const auto add = [&](const char* name, const JsonSections& s) {
    out.emplace_back(name, s.text());
  };
  JsonSections s;
  s.truncation =
      R"({"direction": "Left", "max_length": 6, "strategy": "LongestFirst", "stride": 0})";
  s.added_tokens = R"([
    {"content": "[MASK]", "lstrip": true, "rstrip": true, "special": true, "normalized": false},
    {"content": "a", "single_word": true, "special": false, "normalized": true}])";
  add("added", s);
  s = {};
  s.model =
      R"({"type": "BPE", "unk_token": null, "continuing_subword_prefix": "", "fuse_unk": false,
    "byte_fallback": false, "ignore_merges": true, "vocab": {"h": 0, "e": 1, "l": 2, "o": 3, "ll": 4,
    "he": 5, "hell": 6, "Ġ": 7, "Ġh": 8, "a": 9, "aa": 10, "aaaa": 11},
    "merges": ["l l", "h e", ["he", "ll"], "Ġ h", "a a", "aa aa"]})";
  s.normalizer = R"({"type": "NFC"})";
  s.pre_tokenizer = R"({"type": "ByteLevel", "add_prefix_space": true, "use_regex": true})";
  s.post_processor = R"({"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0],
    "trim_offsets": true, "add_prefix_space": true})";
  s.added_tokens = R"([{"content": "<mask>", "lstrip": true, "special": true}])";
  add("bpe", s);
  s.normalizer = R"({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})";
  s.pre_tokenizer = "null";
  s.post_processor = R"({"type": "TemplateProcessing", "special_tokens": {"<s>": {"id": "<s>",
    "ids": [0], "tokens": ["<s>"]}}, "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
    {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
    {"Sequence": {"id": "B", "type_id": 1}}]})";
  s.model = R"({"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
    "vocab": {"<unk>": 0, "▁": 1, "<0x0A>": 2, "<0xC4>": 3, "a": 4, "▁a": 5, "l": 6},
    "merges": ["▁ a"]})";
  add("bpe-fallback", s);
  s = {};
  s.normalizer = R"({"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    {"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "StripAccents"},
    {"type": "Lowercase"}]})";
  s.pre_tokenizer = R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
    "split": true})";
  s.model = R"({"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": [["<unk>", 0],
    ["▁", -2], ["▁a", -1.5], ["a", -3], ["aa", -2.25], ["hello", -4e0], ["l", -5], ["o", -6]]})";
  s.added_tokens = "[]";
  add("unigram", s);
  s.pre_tokenizer = R"json({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
    {"type": "Punctuation", "behavior": "MergedWithNext"}, {"type": "Digits", "individual_digits":
    true}, {"type": "Split", "pattern": {"Regex": "\\p{L}+|[^\\s\\w]|(?i:'s|'t)"}, "behavior":
    "Contiguous", "invert": true}, {"type": "Whitespace"}]})json";
  s.normalizer = R"({"type": "ByteLevel"})";
  s.model = R"({"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "hello": 1,
    "[SEP]": 3, "[CLS]": 2}})";
  add("wordlevel", s);
  return out;
}

}  // namespace tessera::fuzz
