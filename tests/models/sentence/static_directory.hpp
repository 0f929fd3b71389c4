// SPDX-License-Identifier: Apache-2.0
// Directories of static embeddings and of Routers, as sentence-transformers and model2vec write them.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/temporary.hpp"
#include "tests/support/tensors.hpp"

namespace tessera::test {

/// Words between blanks, lower case; what is no word of these is [UNK]. The template would put [CLS]
/// and [SEP] around a text.
inline const std::vector<std::string> kStaticWords{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "tea",
                                                   "brew",  "the",   "cat",   "mat"};

/// `truncation`: JSON; "null" for none.
inline std::string static_tokenizer_json(const std::string& truncation = "null") {
  std::string vocab;
  for (std::size_t id = 0; id < kStaticWords.size(); ++id) {
    vocab += fmt::format("{}\"{}\": {}", id == 0 ? "" : ", ", kStaticWords[id], id);
  }
  const auto special = [](int id) {
    return fmt::format(
        R"({{"id": {}, "content": "{}", "single_word": false, "lstrip": false, "rstrip": false,
             "normalized": false, "special": true}})",
        id, kStaticWords[static_cast<std::size_t>(id)]);
  };
  return fmt::format(
      R"({{"version": "1.0", "truncation": {}, "padding": null,
           "added_tokens": [{}, {}, {}, {}], "normalizer": {{"type": "Lowercase"}},
           "pre_tokenizer": {{"type": "Whitespace"}},
           "post_processor": {{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}},
           "decoder": null,
           "model": {{"type": "WordLevel", "vocab": {{{}}}, "unk_token": "[UNK]"}}}})",
      truncation, special(0), special(1), special(2), special(3), vocab);
}

inline std::string module_json(const std::string& type, const std::string& path) {
  return fmt::format(R"({{"idx": 0, "name": "0", "path": "{}", "type": "{}"}})", path, type);
}

inline std::string modules_json(const std::vector<std::pair<std::string, std::string>>& modules) {
  std::string text;
  for (const auto& [name, path] : modules) {
    text += (text.empty() ? "[" : ", ") + module_json("sentence_transformers.models." + name, path);
  }
  return text + "]";
}

/// A table of a row per word, `width` wide.
inline Tensor static_table(std::int64_t width, std::uint64_t seed = 5) {
  return random_tensor({static_cast<std::int64_t>(kStaticWords.size()), width}, seed);
}

/// "0_StaticEmbedding" of this table in `directory`; `name`: of the tensor.
inline void write_static(const std::filesystem::path& directory, const Tensor& table,
                         const std::string& name = "embedding.weight",
                         const std::string& tokenizer = static_tokenizer_json()) {
  write_tensors(directory / "model.safetensors", {{name, table}});
  std::ofstream(directory / "tokenizer.json") << tokenizer;
}

}  // namespace tessera::test
