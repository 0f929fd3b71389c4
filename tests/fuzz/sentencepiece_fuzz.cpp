// SPDX-License-Identifier: Apache-2.0
// Any SentencePiece model gives a tokenizer or an Error. The first byte chooses the tokenizer class.
#include <array>

#include "tests/fuzz/tokenize.hpp"
#include "tests/models/text/small_charsmap.hpp"
#include "tests/models/text/small_sentencepiece.hpp"

namespace tessera::fuzz {
namespace {

constexpr std::array kConfigs = {
    R"({"tokenizer_class": "XLMRobertaTokenizer"})",
    R"({"tokenizer_class": "CamembertTokenizer"})",
    R"({"tokenizer_class": "AlbertTokenizer"})",
    R"({"tokenizer_class": "T5Tokenizer", "legacy": false, "extra_ids": 3})",
};

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const auto choice = static_cast<unsigned char>(input.front()) % kConfigs.size();
  try_tokenizer({{"spiece.model", input.substr(1)}, {"tokenizer_config.json", kConfigs[choice]}});
}

Seeds seeds() {
  text::SmallSentencePiece m;
  m.pieces = {{"<unk>", 0, 2}, {"<s>", 0, 3},   {"</s>", 0, 3},  {"▁", -2},       {"▁a", -1},
              {"b", -1},       {"a", -3},       {"7,", -1},      {"7", -2},       {",", -2},
              {"aa", -4},      {"<pad>", 0, 3}, {"[CLS]", 0, 3}, {"[SEP]", 0, 3}, {"H", 0, 4}};
  Seeds out;
  for (std::size_t i = 0; i < kConfigs.size(); ++i) {
    out.emplace_back("plain" + std::to_string(i), char('0' + i) + m.bytes());
  }
  m.charsmap = text::small_charsmap({{'H', "h"}, {'\t', " "}, {'2', "two"}, {',', ""}});
  out.emplace_back("charsmap", "0" + m.bytes());
  return out;
}

}  // namespace tessera::fuzz
