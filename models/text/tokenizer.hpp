// SPDX-License-Identifier: Apache-2.0
// Text to token ids, as the tokenizer files of a checkpoint say.
//
//   text ─ added tokens ─ normaliser ─ words ─ model ─ truncation ─ template ─▶ ids
//   (template: [CLS] A [SEP] B [SEP])
//
// Ids, type ids and offsets are those of Hugging Face tokenizers 0.23. Models: WordPiece, byte-level
// BPE, Unigram and WordLevel from a tokenizer.json; WordPiece from a vocab.txt, BPE from a
// vocab.json and merges.txt, Unigram from a SentencePiece model, with tokenizer_config.json, special_tokens_map.json and
// added_tokens.json where they exist.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/text/truncation.hpp"

namespace tessera::text {

struct TokenizerParts;
struct SequenceToken;

/// One encoded text or pair, T tokens.
struct Encoding {
  std::vector<std::int32_t> ids;       // (T)
  std::vector<std::int32_t> type_ids;  // (T)
  // [begin, end) in code points of the text that the token is from; {0, 0} for special tokens
  std::vector<std::array<std::uint32_t, 2>> offsets;  // (T)
  std::vector<std::uint8_t> special_mask;    // (T) 1 for what the template or padding added
  std::vector<std::uint8_t> attention_mask;  // (T) 0 for padding
  // (T) 1 for the first token of its word, as far as it stands here; of encode_windows(), else empty
  std::vector<std::uint8_t> opens_word = {};
  std::array<std::uint32_t, 2> last_text{};  // [begin, end) of the pair's second text, or the text
  bool is_cut = false;                       // whether truncation left tokens out
  std::int32_t pool_from = 0;   // tokens of a prompt that poolings leave out: of TextInputs, else 0
  std::int32_t unattended = 0;  // tokens at the end that nobody attends to: of TextInputs, else 0

  std::size_t size() const noexcept { return ids.size(); }
};

struct EncodeOptions {
  /// Whether [CLS], [SEP] and the like are put around the text. Those written in the text count as
  /// tokens in any case.
  bool add_special_tokens = true;
  /// Largest number of tokens, special tokens included. nullopt: model_max_length of
  /// tokenizer_config.json if `truncation` is given, else what the file's own truncation says.
  std::optional<std::size_t> max_length{};
  /// nullopt: the file's if `max_length` is not given either, else longest_first.
  std::optional<TruncationStrategy> truncation{};
  /// nullopt: that of tokenizer_config.json, else the file's where its truncation is used, else
  /// right.
  std::optional<Side> truncation_side{};
  /// false: ignores the truncation section of the file.
  bool use_file_truncation = true;
  /// Tessera never pads. true reproduces the padding section of the file, for comparison with
  /// others.
  bool use_file_padding = false;
};

/// A text that stands first in many pairs, a query before its passages: tokenised once. Immutable.
class PairStart {
 private:
  friend class Tokenizer;
  explicit PairStart(std::shared_ptr<const std::vector<SequenceToken>> tokens)
      : tokens_(std::move(tokens)) {}

  std::shared_ptr<const std::vector<SequenceToken>> tokens_;
};

/// Where a tokenizer came from and what it does, for people.
struct TokenizerInfo {
  std::string file;        ///< "tokenizer.json", "vocab.txt", "vocab.json", …
  std::string model;       ///< "WordPiece", "byte-level BPE", "Unigram" or "WordLevel"
  std::string normalizer;  ///< "lowercase, strips accents"
  bool lowercase = false;  ///< whether some step of the normaliser lowercases
  std::optional<Truncation> truncation;  ///< of the file
  bool pads = false;                     ///< whether the file asks for padding
  bool marks_continuations = false;      ///< tokens inside a word have a prefix, "##" as a rule
  /// What other files changed of a tokenizer.json: "tokenizer_config.json: do_lower_case"; "" if
  /// nothing.
  std::string settings;
};

/// What a model that reads its padding gets.
struct TextPadding {
  std::optional<std::int32_t> id;  ///< none: no file and no class names a pad token
  Side side = Side::right;
  bool is_masked =
      false;  ///< model_input_names has "attention_mask": the padding is not attended to
};

/// A tokenizer, immutable: copies share it, and any number of threads may use it at once.
class Tokenizer {
 public:
  /// Reads tokenizer.json if the directory has one, else vocab.json and merges.txt, else vocab.txt,
  /// else sentencepiece.bpe.model or spiece.model, and the files beside it.
  ///
  /// tokenizer_config.json is applied over tokenizer.json (tokenizer_settings.cpp). A vocab.txt is
  /// lowercased unless `do_lower_case` of tokenizer_config.json is false, as BertTokenizer does;
  /// neither the vocabulary nor the name of the directory is looked at.
  ///
  /// Errors    not_found (no tokenizer file), corrupt_file, io_error, and unsupported_model, which
  ///           names the part that is missing.
  /// `markers`: texts that begin others, such as "[Q] ". Where the tokenizer has a token for one, or
  /// for its first word, and would split it, it becomes a special token of this tokenizer.
  ///                    sentence-transformers 6.0, MultiVectorEncoder._register_prefix_tokens()
  static Tokenizer from_directory(const std::filesystem::path& directory,
                                  std::span<const std::string> markers = {});

  /// Reads one tokenizer.json and no file beside it, as Tokenizer.from_file of tokenizers does.
  /// Errors    as from_directory()
  static Tokenizer from_json(const std::filesystem::path& file);

  /// Encodes one text. Invalid UTF-8 is replaced by U+FFFD as String::from_utf8_lossy does, and
  /// offsets count the code points of the replaced text.
  ///
  /// Errors    invalid_argument where truncation cannot succeed (see kept_lengths()), where
  ///           max_length is below the number of special tokens, or the text has 2³² bytes.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encoding encode_pair(std::string_view a, std::string_view b,
                       const EncodeOptions& options = {}) const;
  /// The same in two steps, both with the same options.
  PairStart pair_start(std::string_view a, const EncodeOptions& options = {}) const;
  Encoding encode_pair(const PairStart& a, std::string_view b,
                       const EncodeOptions& options = {}) const;

  /// A text, or the second of a pair, that may be longer than the limit: as several encodings, each
  /// with the first text whole and with so many tokens of the last as there is room for. `stride` of
  /// them are those that the window before ends with. One encoding where everything fits; windows
  /// are from the side that truncation would keep on.
  ///
  /// Errors    as encode(); invalid_argument where the first text leaves no room for more than
  ///           `stride` tokens. The strategy of truncation is not looked at.
  std::vector<Encoding> encode_windows(std::string_view a, std::optional<std::string_view> b,
                                       std::size_t stride, const EncodeOptions& options = {}) const;

  /// Largest id + 1, added tokens included: what the embedding table must have at least.
  std::size_t vocab_size() const noexcept;
  /// The token with this id, or an empty string.
  std::string_view token(std::int32_t id) const noexcept;
  std::optional<std::int32_t> id(std::string_view token) const noexcept;
  /// Whether `id` is an added token that is marked special.
  bool is_special(std::int32_t id) const noexcept;

  std::optional<std::int32_t> pad_id() const noexcept;
  std::optional<std::int32_t> unk_id() const noexcept;
  std::optional<std::int32_t> cls_id() const noexcept;
  std::optional<std::int32_t> sep_id() const noexcept;
  std::optional<std::int32_t> mask_id() const noexcept;

  /// model_max_length of tokenizer_config.json, the length at which the reference cuts texts;
  /// nullopt if it is not said or 10⁹ and more, which means none. A truncation that stands in
  /// tokenizer.json is left over from some earlier use: the reference puts its own in its place.
  std::optional<std::size_t> max_length() const noexcept;
  /// truncation_side of tokenizer_config.json, else that of the truncation in tokenizer.json.
  std::optional<Side> truncation_side() const noexcept;
  /// Whether the model gets type ids of a text, as `model_input_names` of tokenizer_config.json says,
  /// else as the tokenizer's class does: without them all types are 0, whatever the template says.
  bool gives_type_ids() const noexcept;
  const TextPadding& text_padding() const noexcept;
  /// How many tokens the template adds.
  std::size_t special_tokens_count(bool pair) const noexcept;

  const TokenizerInfo& info() const noexcept;

 private:
  explicit Tokenizer(std::shared_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}

  /// `start`: the tokens of `a`, or null.
  Encoding encode_sequences(std::string_view a, const std::vector<SequenceToken>* start,
                            const std::string_view* b, const EncodeOptions& options) const;

  std::shared_ptr<const TokenizerParts> parts_;
};

/// Whether the directory has a tokenizer file of any known kind, supported or not.
bool directory_has_tokenizer(const std::filesystem::path& directory);

}  // namespace tessera::text
