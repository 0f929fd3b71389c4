// SPDX-License-Identifier: Apache-2.0
// What the tokenizer files of a checkpoint say, in one struct, and the readers that fill it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/text/added_tokens.hpp"
#include "models/text/bert_scanner.hpp"
#include "models/text/normalizer.hpp"
#include "models/text/pre_tokenizer.hpp"
#include "models/text/template.hpp"
#include "models/text/tokenizer.hpp"
#include "models/text/word_model.hpp"

namespace tessera::text {

/// The padding section of a tokenizer.json. Tessera never pads; this is for comparison.
struct Padding {
  std::optional<std::size_t> fixed_length;  ///< nullopt: to the longest of the batch
  Side side = Side::right;
  std::size_t multiple_of = 0;  ///< 0 and 1: any length
  std::int32_t id = 0;
  std::int32_t type_id = 0;
};

struct SpecialIds {
  std::optional<std::int32_t> pad, unk, cls, sep, mask;
};

struct TokenizerParts {
  explicit TokenizerParts(WordModel word_model) : model(std::move(word_model)) {}

  TokenizerInfo info;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  WordModel model;
  AddedTokens added;
  Template post;
  std::optional<Padding> padding;
  std::optional<std::size_t> model_max_length;  ///< of tokenizer_config.json
  std::optional<Side> truncation_side;          ///< of tokenizer_config.json
  bool gives_type_ids = true;                   ///< gives_type_ids()
  TextPadding text_padding;
  SpecialIds special;
  std::optional<BertScanner> scanner;  ///< where normaliser and pre-tokenizer are BERT's

  std::optional<std::int32_t> id(std::string_view token) const noexcept;

  /// Fills what follows from the other members: `info` in part, `scanner`.
  void finish();

  /// Tokens of one text, which is valid UTF-8. `limit` as in append_text_tokens(), counted from the
  /// left.
  std::vector<SequenceToken> tokenize(std::string_view text, std::size_t limit) const;
};

/// What tokenizer_config.json and special_tokens_map.json say; empty where the files do not exist.
struct TokenizerConfig {
  bool exists = false;          ///< whether there is a tokenizer_config.json
  std::string tokenizer_class;  ///< without the suffix "Fast"
  std::optional<bool> do_lower_case;
  std::optional<bool> strip_accents;
  std::optional<bool> tokenize_chinese_chars;
  std::optional<bool> add_prefix_space;
  std::optional<bool> add_bos_token, add_eos_token;  ///< LlamaTokenizer, GemmaTokenizer
  std::optional<bool> keep_accents;                  ///< AlbertTokenizer
  std::optional<bool> legacy;                        ///< T5Tokenizer
  std::size_t extra_ids = 100;                       ///< T5Tokenizer: how many <extra_id_N>
  std::optional<std::size_t>
      model_max_length;  ///< nullopt if 10⁹ or more: "no limit" in transformers
  std::optional<std::size_t>
      max_len;  ///< its older name, which counts where the newer is not there
  std::optional<Side> truncation_side;
  std::optional<Side> padding_side;
  std::optional<std::vector<std::string>> model_input_names;
  std::optional<AddedToken> bos, eos, unk, sep, pad, cls, mask;
  bool mask_is_name = false;        ///< whether `mask` was a string, without flags
  std::vector<AddedToken> decoder;  ///< added_tokens_decoder or added_tokens.json, by id
  /// additional_special_tokens and extra_special_tokens
  std::vector<AddedToken> additional;

  /// Those that the files name, in the reference's order: bos, eos, unk, sep, pad, cls, mask.
  std::vector<const AddedToken*> named() const;
  /// `decoder`, and of `additional` those that are not in it.
  std::vector<AddedToken> listed() const;
};

/// The special tokens of a tokenizer class, where no file names others.
struct SpecialTokenNames {
  const char* unk;
  const char* sep;
  const char* pad;
  const char* cls;
  const char* mask;               ///< "": none
  bool mask_takes_space = false;  ///< lstrip
};
inline constexpr SpecialTokenNames kBertTokens{"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};
inline constexpr SpecialTokenNames kMpnetTokens{"[UNK]", "</s>", "<pad>", "<s>", "<mask>", true};
inline constexpr SpecialTokenNames kRobertaTokens{"<unk>", "</s>", "<pad>", "<s>", "<mask>", true};
inline constexpr SpecialTokenNames kClipTokens{"<|endoftext|>", "<|endoftext|>", "<|endoftext|>",
                                               "<|startoftext|>", ""};

TokenizerConfig read_tokenizer_config(const std::filesystem::path& directory);

/// Sets the ids of the special tokens, by the names in `config` or by BERT's and MPNet's.
void find_special_ids(const TokenizerConfig& config, TokenizerParts& parts);

/// BertTokenizer and the classes that are the same by another name; without the suffix "Fast".
bool is_bert_tokenizer(std::string_view tokenizer_class) noexcept;

/// RobertaTokenizer and the classes that are the same by another name.
bool is_roberta_tokenizer(std::string_view tokenizer_class) noexcept;

/// The template of a class that makes its own, or the check that it is the file's (bos_eos.cpp).
void apply_bos_eos(const TokenizerConfig& config, TokenizerParts& parts);

/// Whether texts come with type ids: as model_input_names says, else as the class does.
bool gives_type_ids(const TokenizerConfig& config);
/// What texts would be padded with: by the files, else by the class.
TextPadding text_padding(const TokenizerConfig& config, const TokenizerParts& parts);

/// What stands in a tokenizer.json by itself, not as a step of a Sequence.
struct LoneSteps {
  bool bert_normalizer = false;  ///< "normalizer" is a BertNormalizer
  bool byte_level = false;       ///< "pre_tokenizer" is a ByteLevel
};
/// What the class that `config` names makes of a tokenizer.json: its settings are applied over the
/// file's (tokenizer_settings.cpp).
void apply_settings(const TokenizerConfig& config, const LoneSteps& lone, TokenizerParts& parts);

/// `config` adds tokens to those of the file.
std::shared_ptr<TokenizerParts> read_tokenizer_json(const std::filesystem::path& file,
                                                    const TokenizerConfig& config);
std::shared_ptr<TokenizerParts> read_vocab_txt(const std::filesystem::path& directory,
                                               const TokenizerConfig& config);

/// The SentencePiece model files that are read without a tokenizer.json.
inline constexpr const char* kSpieceModels[] = {"sentencepiece.bpe.model", "spiece.model"};
std::shared_ptr<TokenizerParts> read_spiece_model(const std::filesystem::path& file,
                                                  const TokenizerConfig& config);

std::shared_ptr<TokenizerParts> read_vocab_json(const std::filesystem::path& directory,
                                                const TokenizerConfig& config);

}  // namespace tessera::text
