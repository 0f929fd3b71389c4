// SPDX-License-Identifier: Apache-2.0
// Truncation, template and padding: TokenizerImpl::post_process (tokenizers 0.23,
// tokenizer/mod.rs).
#include "models/text/tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "models/text/assemble.hpp"
#include "models/text/tokenizer_parts.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera::text {
namespace {

namespace fs = std::filesystem;

// What the options and the file together ask for; nullopt: nothing is cut.
std::optional<Truncation> resolve_truncation(const TokenizerParts& parts,
                                             const EncodeOptions& options) {
  std::optional<Truncation> result;
  if (options.use_file_truncation) result = parts.info.truncation;
  if (options.max_length) {
    if (!result) result.emplace();
    result->max_length = *options.max_length;
    result->strategy = TruncationStrategy::longest_first;
  } else if (options.truncation && parts.model_max_length) {
    // A length that stands in tokenizer.json is left over from some earlier use.
    if (!result) result.emplace();
    result->max_length = *parts.model_max_length;
  }
  if (!result) return std::nullopt;
  if (parts.truncation_side) result->side = *parts.truncation_side;
  if (options.truncation) result->strategy = *options.truncation;
  if (options.truncation_side) result->side = *options.truncation_side;
  if (result->strategy == TruncationStrategy::do_not_truncate) return std::nullopt;
  return result;
}

// Of a first text, or an only one, all tokens are needed where nothing is taken from it.
std::optional<Truncation> limit_of_first(std::optional<Truncation> truncation) {
  const bool cuts_first = truncation && truncation->strategy != TruncationStrategy::only_second;
  return cuts_first ? truncation : std::nullopt;
}

// `truncation` is nullopt where all tokens of the text are needed.
std::vector<SequenceToken> tokenize(const TokenizerParts& parts, std::string_view text,
                                    const std::optional<Truncation>& truncation) {
  if (text.size() >= std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("tokenizer: the text has {} bytes, expected less than 4294967295",
                            text.size()));
  }
  std::string replaced;
  if (!is_utf8(text)) text = replaced = replace_invalid_utf8(text);
  if (!truncation) return parts.tokenize(text, kNoLimit);
  if (truncation->side == Side::right) return parts.tokenize(text, truncation->max_length);
  std::vector<SequenceToken> tokens = parts.tokenize(text, kNoLimit);
  limit_from_left(truncation->max_length, tokens);
  return tokens;
}

void keep(std::size_t count, Side side, std::vector<SequenceToken>& tokens) {
  if (count >= tokens.size()) return;
  if (side == Side::left) {
    tokens.erase(tokens.begin(), tokens.end() - static_cast<std::ptrdiff_t>(count));
  } else {
    tokens.resize(count);
  }
}

// utils/padding.rs, for one encoding by itself.
void pad(const Padding& padding, Encoding& out) {
  std::size_t length = padding.fixed_length.value_or(out.size());
  if (padding.multiple_of > 0 && length % padding.multiple_of > 0) {
    length += padding.multiple_of - length % padding.multiple_of;
  }
  if (length <= out.size()) return;
  const std::size_t count = length - out.size();
  const auto extend = [&](auto& values, auto value) {
    values.insert(padding.side == Side::left ? values.begin() : values.end(), count, value);
  };
  extend(out.ids, padding.id);
  extend(out.type_ids, padding.type_id);
  extend(out.offsets, std::array<std::uint32_t, 2>{0, 0});
  extend(out.special_mask, std::uint8_t{1});
  extend(out.attention_mask, std::uint8_t{0});
  if (padding.side == Side::left) {
    for (std::uint32_t& place : out.last_text) place += static_cast<std::uint32_t>(count);
  }
}

bool exists(const fs::path& directory, const char* name) {
  return file_exists(directory / name);
}

// Files that are recognised but not enough by themselves.
struct OtherTokenizer {
  const char* file;
  const char* model;
};
constexpr OtherTokenizer kOtherTokenizers[] = {
    {"vocab.json", "byte-level BPE"},
    {"merges.txt", "byte-level BPE"},
    {"spm.model", "Unigram"},
    {"tokenizer.model", "SentencePiece"},
};

// The tokens of `markers` that are known and would not come out in one piece.
std::vector<AddedToken> split_markers(const TokenizerParts& parts,
                                      std::span<const std::string> markers) {
  std::vector<AddedToken> split;
  for (const std::string& marker : markers) {
    const std::size_t first = marker.find_first_not_of(' ');
    if (first == std::string::npos) continue;
    for (const std::string& prefix :
         {marker, marker.substr(first, marker.find(' ', first) - first)}) {
      const auto id = parts.id(prefix);
      if (!id) continue;
      const std::vector<SequenceToken> tokens = parts.tokenize(prefix, kNoLimit);
      if (tokens.size() != 1 || tokens[0].id != *id) split.push_back({.content = prefix});
      break;
    }
  }
  return split;
}

}  // namespace

Tokenizer Tokenizer::from_directory(const fs::path& directory,
                                    std::span<const std::string> markers) {
  const bool has_json = exists(directory, "tokenizer.json");
  const bool has_pairs = exists(directory, "vocab.json") && exists(directory, "merges.txt");
  const char* spiece = nullptr;
  for (const char* file : kSpieceModels) {
    if (spiece == nullptr && exists(directory, file)) spiece = file;
  }
  if (!has_json && !has_pairs && !exists(directory, "vocab.txt") && spiece == nullptr) {
    for (const OtherTokenizer& other : kOtherTokenizers) {
      if (!exists(directory, other.file)) continue;
      throw Error(
          ErrorCode::unsupported_model,
          fmt::format("tokenizer: \"{}\" has {}, a {} tokenizer, which is not supported yet; "
                      "expected tokenizer.json, vocab.txt, vocab.json with merges.txt, "
                      "sentencepiece.bpe.model or spiece.model (token ids can be given instead of "
                      "text)",
                      directory.string(), other.file, other.model));
    }
    throw Error(
        ErrorCode::not_found,
        fmt::format("tokenizer: \"{}\" has no tokenizer file, expected tokenizer.json, vocab.txt, "
                    "vocab.json with merges.txt, sentencepiece.bpe.model or spiece.model (token "
                    "ids can be given instead of text)",
                    directory.string()));
  }
  TokenizerConfig config = read_tokenizer_config(directory);
  const auto read = [&] {
    std::shared_ptr<TokenizerParts> parts =
        has_json                         ? read_tokenizer_json(directory / "tokenizer.json", config)
        : has_pairs                      ? read_vocab_json(directory, config)
        : exists(directory, "vocab.txt") ? read_vocab_txt(directory, config)
                                         : read_spiece_model(directory / spiece, config);
    parts->model_max_length = config.model_max_length;
    parts->truncation_side = config.truncation_side;
    if (has_json) apply_bos_eos(config, *parts);
    parts->gives_type_ids = text::gives_type_ids(config);
    find_special_ids(config, *parts);
    parts->text_padding = text::text_padding(config, *parts);
    parts->finish();
    return parts;
  };
  std::shared_ptr<TokenizerParts> parts = read();
  const std::vector<AddedToken> split = split_markers(*parts, markers);
  if (!split.empty()) {
    config.decoder.insert(config.decoder.end(), split.begin(), split.end());
    parts = read();
  }
  return Tokenizer(std::move(parts));
}

Tokenizer Tokenizer::from_json(const fs::path& file) {
  const TokenizerConfig none;
  std::shared_ptr<TokenizerParts> parts = read_tokenizer_json(file, none);
  find_special_ids(none, *parts);
  parts->finish();
  return Tokenizer(std::move(parts));
}

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  return encode_sequences(text, nullptr, nullptr, options);
}

Encoding Tokenizer::encode_pair(std::string_view a, std::string_view b,
                                const EncodeOptions& options) const {
  return encode_sequences(a, nullptr, &b, options);
}

PairStart Tokenizer::pair_start(std::string_view a, const EncodeOptions& options) const {
  return PairStart(std::make_shared<const std::vector<SequenceToken>>(
      tokenize(*parts_, a, limit_of_first(resolve_truncation(*parts_, options)))));
}

Encoding Tokenizer::encode_pair(const PairStart& a, std::string_view b,
                                const EncodeOptions& options) const {
  return encode_sequences({}, a.tokens_.get(), &b, options);
}

Encoding Tokenizer::encode_sequences(std::string_view a, const std::vector<SequenceToken>* start,
                                     const std::string_view* b,
                                     const EncodeOptions& options) const {
  const bool is_pair = b != nullptr;
  const std::size_t special = options.add_special_tokens ? special_tokens_count(is_pair) : 0;
  const std::optional<Truncation> truncation = resolve_truncation(*parts_, options);
  if (truncation && truncation->max_length < special) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("tokenizer: max_length is {}, expected at least {}, the special tokens of {}",
                    truncation->max_length, special, is_pair ? "a pair" : "a text"));
  }

  // A text that has exactly as many tokens as the limit is not cut: one more is looked for where no
  // special token makes the difference.
  std::optional<Truncation> seen = truncation;
  if (seen && special == 0 && !is_pair) ++seen->max_length;
  std::vector<SequenceToken> first =
      start != nullptr ? *start : tokenize(*parts_, a, limit_of_first(seen));
  std::vector<SequenceToken> second;
  if (is_pair) second = tokenize(*parts_, *b, truncation);
  bool is_cut = false;
  if (truncation) {
    const KeptLengths kept = kept_lengths(first.size(), second.size(), is_pair,
                                          truncation->max_length - special, truncation->strategy);
    is_cut = kept.first < first.size() || kept.second < second.size();
    keep(kept.first, truncation->side, first);
    keep(kept.second, truncation->side, second);
  }
  Encoding out = assemble(*parts_, first, is_pair ? &second : nullptr, options.add_special_tokens);
  out.is_cut = is_cut;
  if (options.use_file_padding && parts_->padding) pad(*parts_->padding, out);
  return out;
}

std::vector<Encoding> Tokenizer::encode_windows(std::string_view a,
                                                std::optional<std::string_view> b,
                                                std::size_t stride,
                                                const EncodeOptions& options) const {
  const std::size_t special = options.add_special_tokens ? special_tokens_count(b.has_value()) : 0;
  const std::optional<Truncation> limit = resolve_truncation(*parts_, options);
  const std::vector<SequenceToken> first = tokenize(*parts_, a, std::nullopt);
  std::vector<SequenceToken> second;
  if (b) second = tokenize(*parts_, *b, std::nullopt);
  const std::vector<SequenceToken>& last = b ? second : first;
  const std::size_t taken = special + (b ? first.size() : 0);
  std::vector<Encoding> windows;
  const auto add = [&](std::size_t begin, std::size_t end) {
    const auto at = [&](std::size_t i) { return last.begin() + static_cast<std::ptrdiff_t>(i); };
    std::vector<SequenceToken> part(at(begin), at(end)), start;
    if (b) start = first;
    windows.push_back(
        assemble(*parts_, b ? start : part, b ? &part : nullptr, options.add_special_tokens));
    add_words(part, windows.back());
  };
  if (!limit || taken + last.size() <= limit->max_length) {
    add(0, last.size());
    return windows;
  }
  if (taken >= limit->max_length || limit->max_length - taken <= stride) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("tokenizer: windows of {} tokens have {} for {}, expected room for more "
                    "than the stride, {} tokens",
                    limit->max_length, taken >= limit->max_length ? 0 : limit->max_length - taken,
                    b ? "the second text" : "the text", stride));
  }
  const std::size_t room = limit->max_length - taken, size = last.size();
  for (std::size_t from = 0;; from += room - stride) {  // counted from the side that is kept
    const std::size_t to = std::min(from + room, size);
    if (limit->side == Side::right) {
      add(from, to);
    } else {
      add(size - to, size - from);
    }
    if (to == size) return windows;
  }
}

std::size_t Tokenizer::vocab_size() const noexcept {
  return std::max(parts_->model.vocabulary().id_count(), parts_->added.id_count());
}

std::string_view Tokenizer::token(std::int32_t id) const noexcept {
  const auto added = parts_->added.token(id);
  if (added) return *added;
  return parts_->model.vocabulary().token(id).value_or(std::string_view{});
}

std::optional<std::int32_t> Tokenizer::id(std::string_view token) const noexcept {
  return parts_->id(token);
}

bool Tokenizer::is_special(std::int32_t id) const noexcept {
  return parts_->added.is_special(id);
}

std::optional<std::int32_t> Tokenizer::pad_id() const noexcept {
  return parts_->special.pad;
}
std::optional<std::int32_t> Tokenizer::unk_id() const noexcept {
  return parts_->special.unk;
}
std::optional<std::int32_t> Tokenizer::cls_id() const noexcept {
  return parts_->special.cls;
}
std::optional<std::int32_t> Tokenizer::sep_id() const noexcept {
  return parts_->special.sep;
}
std::optional<std::int32_t> Tokenizer::mask_id() const noexcept {
  return parts_->special.mask;
}

std::optional<std::size_t> Tokenizer::max_length() const noexcept {
  return parts_->model_max_length;
}

std::optional<Side> Tokenizer::truncation_side() const noexcept {
  if (parts_->truncation_side) return parts_->truncation_side;
  if (parts_->info.truncation) return parts_->info.truncation->side;
  return std::nullopt;
}

bool Tokenizer::gives_type_ids() const noexcept {
  return parts_->gives_type_ids;
}
const TextPadding& Tokenizer::text_padding() const noexcept {
  return parts_->text_padding;
}

std::size_t Tokenizer::special_tokens_count(bool pair) const noexcept {
  return parts_->post.special_count(pair);
}

const TokenizerInfo& Tokenizer::info() const noexcept {
  return parts_->info;
}

bool directory_has_tokenizer(const fs::path& directory) {
  if (exists(directory, "tokenizer.json") || exists(directory, "vocab.txt")) return true;
  for (const char* file : kSpieceModels) {
    if (exists(directory, file)) return true;
  }
  return std::any_of(std::begin(kOtherTokenizers), std::end(kOtherTokenizers),
                     [&](const OtherTokenizer& other) { return exists(directory, other.file); });
}

}  // namespace tessera::text
