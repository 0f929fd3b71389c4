// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/text_inputs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <span>
#include <utility>

#include "models/text/python_text.hpp"
#include "runtime/base/error.hpp"
#include "runtime/session/session.hpp"
#include "tessera/pipeline/static_texts.hpp"

namespace tessera {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

struct RoleLimit {
  std::optional<Index> tokens;
  const char* from;
};

// How long texts of late interaction are: its queries, expanded to `length` at least, where that is
// fixed at most, too, whatever was asked for.              sentence-transformers 6.0, preprocess()
RoleLimit limit_of(const models::MultiVector& reads, TextRole role,
                   const std::optional<Index>& asked) {
  if (role == TextRole::none) return {std::nullopt, ""};
  const bool is_query = role == TextRole::query;
  const std::optional<Index> known = is_query ? reads.query_length : reads.document_length;
  const char* const from = is_query ? "query_length" : "document_length";
  if (!is_query || !reads.expansion) {
    return {asked ? std::nullopt : known, from};  // what was asked for is the limit already
  }
  const Index length = reads.expansion->length;
  if (reads.expansion->is_fixed) return {length, "query expansion"};
  const std::optional<Index> most = asked ? asked : known;
  return {most ? std::optional(std::max(*most, length)) : std::nullopt, from};
}

// The text to put before every input: an explicit one, a named one, or the default of the files.
std::string resolve_prompt(const models::Package& package, const TextOptions& options) {
  if (options.prompt && options.prompt_name) {
    refuse("prompt: got a text and a name, expected one of them");
  }
  if (options.prompt) return *options.prompt;
  const std::string& name =
      options.prompt_name ? *options.prompt_name : package.default_prompt_name;
  if (name.empty() && !options.prompt_name) return {};
  const auto found = package.prompts.find(name);
  if (found != package.prompts.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [key, value] : package.prompts) names.push_back(key);
  throw Error(ErrorCode::not_found,
              fmt::format("prompt name: got \"{}\", expected {}", name,
                          names.empty() ? "no name: the model's files define no prompts"
                                        : fmt::format("one of {}", fmt::join(names, ", "))));
}

}  // namespace

TextInputs::TextInputs(const models::Package& package, const TextOptions& options)
    : tokenizer_(package.tokenizer ? &*package.tokenizer : nullptr),
      prompt_(resolve_prompt(package, options)),
      strips_(package.strips_texts),
      lower_case_first_(package.lower_case_first) {
  if (tokenizer_ == nullptr) {
    const std::string directory = package.directory.string();
    const bool names_it = package.tokenizer_problem.starts_with(directory);
    throw Error(ErrorCode::not_found, fmt::format("{}{}no tokenizer: {}", names_it ? "" : directory,
                                                  names_it ? "" : ": ", package.tokenizer_problem));
  }
  const Index position_limit = require_tokens(package.program).max_tokens;
  longest_ = position_limit;
  const auto strategy = options.truncation.value_or(text::TruncationStrategy::longest_first);
  const bool cuts = strategy != text::TruncationStrategy::do_not_truncate;
  if (package.pair_template) {
    writes_pairs_ = true;
    const bool is_chosen = options.prompt || options.prompt_name || !prompt_.empty();
    instruction_ = is_chosen ? prompt_ : package.pair_template->instruction;
    const text::EncodeOptions plain{.add_special_tokens = false, .use_file_truncation = false};
    before_ = tokenizer_->encode(models::PairTemplate::before(), plain);
    after_ = tokenizer_->encode(models::PairTemplate::after(), plain);
  }
  if (options.max_length) {
    const auto special = package.adds_special_tokens ? tokenizer_->special_tokens_count(false) : 0;
    const auto fewest = static_cast<Index>(special + before_.size() + after_.size()) + 1;
    if (*options.max_length < fewest || *options.max_length > position_limit) {
      refuse(fmt::format("max length: got {}, expected {} to {} (special tokens, position table)",
                         *options.max_length, fewest, position_limit));
    }
    max_tokens_ = *options.max_length;
    limit_reason_ = "as asked for";
  } else if (cuts) {
    max_tokens_ = package.max_tokens;
    limit_reason_ = package.max_tokens_from;
  } else {  // a text that the model can take is taken whole
    max_tokens_ = position_limit;
    limit_reason_ = "position table";
  }
  if (package.multi_vector) {
    const models::MultiVector& reads = *package.multi_vector;
    const auto [tokens, from] = limit_of(reads, options.role, options.max_length);
    if (tokens && cuts) {
      max_tokens_ = std::min(*tokens, position_limit);
      if (max_tokens_ == *tokens) limit_reason_ = from;
    }
    if (options.role == TextRole::query && reads.expansion) filled_ = &reads;
  }
  if (package.text_padding) {
    padding_ = *package.text_padding;
    padded_to_ = options.max_length.value_or(package.max_tokens);
  }
  options_.add_special_tokens = package.adds_special_tokens;
  options_.use_file_truncation = false;
  if (package.static_model_texts) {
    static_model_ = &*package.static_model_texts;
    static_cut_ = static_cut(*static_model_, options, max_tokens_);
  }
  if (cuts) {
    options_.max_length = static_cast<std::size_t>(max_tokens_);
    options_.truncation = strategy;
    options_.truncation_side =
        options.truncation_side ? options.truncation_side : tokenizer_->truncation_side();
  }
  if (!package.pools_prompts && !prompt_.empty()) prompt_tokens_ = count_prompt_tokens();
}

// Of the prompt by itself, without a special token at its end.
//                                sentence-transformers 5.1, SentenceTransformer._get_prompt_length()
std::size_t TextInputs::count_prompt_tokens() const {
  const text::Encoding encoding = tokenizer_->encode(prepared(prompt_, ""), options_);
  const bool has_end = encoding.size() > 0 && tokenizer_->is_special(encoding.ids.back());
  return encoding.size() - (has_end ? 1 : 0);
}

text::Encoding TextInputs::encode(std::string_view text,
                                  std::optional<std::string_view> pair) const {
  if (static_model_ != nullptr) {
    if (pair) refuse("pair: got one, expected none: model2vec reads one text");
    return finished(
        encode_static(*tokenizer_, *static_model_, prompt_ + std::string(text), static_cut_));
  }
  if (pair && writes_pairs_) return encode_written(text, *pair);
  std::string first, second;
  if (!prompt_.empty() || strips_ || lower_case_first_) {
    first = prepared(prompt_, text);
    text = first;
  }
  if (pair && (strips_ || lower_case_first_)) {
    second = prepared("", *pair);
    pair = second;
  }
  return finished(pair ? tokenizer_->encode_pair(text, *pair, options_)
                       : tokenizer_->encode(text, options_));
}

PairFirst TextInputs::pair_start(std::string_view text) const {
  if (writes_pairs_) return {.tokens = std::nullopt, .text = std::string(text)};
  return {.tokens = tokenizer_->pair_start(prepared(prompt_, text), options_), .text = ""};
}

text::Encoding TextInputs::encode(const PairFirst& start, std::string_view pair) const {
  if (writes_pairs_) return encode_written(start.text, pair);
  std::string second;
  if (strips_ || lower_case_first_) pair = second = prepared("", pair);
  return finished(tokenizer_->encode_pair(*start.tokens, pair, options_));
}

// before + what is written of the pair, which is cut, + after          Qwen3-Reranker, process_inputs()
text::Encoding TextInputs::encode_written(std::string_view query, std::string_view document) const {
  text::EncodeOptions options = options_;
  const std::size_t around = before_.size() + after_.size();
  if (options.max_length) {
    if (*options.max_length <= around) {
      refuse(fmt::format("max length: got {}, expected more than the {} tokens around each pair",
                         *options.max_length, around));
    }
    *options.max_length -= around;
    options.truncation = text::TruncationStrategy::longest_first;  // of one text
  }
  text::Encoding body = tokenizer_->encode(
      models::PairTemplate::between(instruction_, prepared("", query), prepared("", document)),
      options);
  const auto put = [](const auto& from, auto& into, auto at) {
    into.insert(at, from.begin(), from.end());
  };
  for (const bool is_after : {false, true}) {
    const text::Encoding& from = is_after ? after_ : before_;
    const auto put_all = [&](auto& into, const auto& values) {
      put(values, into, is_after ? into.end() : into.begin());
    };
    const std::size_t n = from.size();
    put_all(body.ids, from.ids);
    put_all(body.type_ids, from.type_ids);
    put_all(body.offsets, std::vector<std::array<std::uint32_t, 2>>(n));
    put_all(body.special_mask, std::vector<std::uint8_t>(n, 1));
    put_all(body.attention_mask, std::vector<std::uint8_t>(n, 1));
  }
  for (std::uint32_t& place : body.last_text) place += static_cast<std::uint32_t>(before_.size());
  return finished(std::move(body));
}

std::vector<text::Encoding> TextInputs::encode_windows(std::string_view text,
                                                       std::optional<std::string_view> pair,
                                                       std::size_t stride) const {
  std::string first, second;
  if (!prompt_.empty() || strips_ || lower_case_first_) text = first = prepared(prompt_, text);
  if (pair && (strips_ || lower_case_first_)) pair = second = prepared("", *pair);
  std::vector<text::Encoding> windows = tokenizer_->encode_windows(text, pair, stride, options_);
  for (text::Encoding& window : windows) window = finished(std::move(window));
  return windows;
}

// The checks, type ids and padding of what the tokenizer gives.
text::Encoding TextInputs::finished(text::Encoding encoding) const {
  if (static_cast<Index>(encoding.size()) > max_tokens_) {
    refuse(fmt::format("the text has {} tokens, expected at most {} ({}), as it is not to be cut",
                       encoding.size(), max_tokens_, limit_reason_));
  }
  if (!tokenizer_->gives_type_ids()) {
    std::fill(encoding.type_ids.begin(), encoding.type_ids.end(), 0);
  }
  encoding.pool_from = static_cast<std::int32_t>(std::min(prompt_tokens_, encoding.size()));
  if (encoding.size() == 0 && !options_.add_special_tokens) {
    encoding.ids = encoding.type_ids = {0};
    encoding.offsets = {{0, 0}};
    encoding.special_mask = {1};
    encoding.attention_mask = {0};
    encoding.pool_from = 1;
  }
  pad(encoding);
  expand(encoding);
  ++encoded_;
  if (encoding.is_cut) ++cut_;
  return encoding;
}

// prompt + text, then str.strip(), then str.lower()
//                                       sentence-transformers 5.1, models/Transformer.py tokenize()
std::string TextInputs::prepared(std::string_view prompt, std::string_view text) const {
  std::string all(prompt);
  all += text;
  if (strips_) all = std::string(text::stripped(all));
  return lower_case_first_ ? text::lower_case(all) : all;
}

void TextInputs::pad(text::Encoding& encoding) const {
  const auto size = static_cast<Index>(encoding.size());
  if (size >= padded_to_) return;
  const auto count = static_cast<std::size_t>(padded_to_ - size);
  const bool is_left = padding_.side == text::Side::left;
  const auto extend = [&](auto& values, auto value) {
    values.insert(is_left ? values.begin() : values.end(), count, value);
  };
  extend(encoding.ids, padding_.id.value_or(0));
  extend(encoding.type_ids, 0);
  extend(encoding.offsets, std::array<std::uint32_t, 2>{0, 0});
  extend(encoding.special_mask, std::uint8_t{1});
  extend(encoding.attention_mask, std::uint8_t{0});
  if (is_left) {
    for (std::uint32_t& place : encoding.last_text) place += static_cast<std::uint32_t>(count);
  }
}

// Short queries get tokens up to the length.        sentence-transformers 6.0, Transformer.preprocess()
void TextInputs::expand(text::Encoding& encoding) const {
  if (filled_ == nullptr) return;
  const auto size = static_cast<Index>(encoding.size());
  const Index length = std::min(filled_->expansion->length, longest_);
  if (size >= length) return;
  const auto whole = static_cast<std::size_t>(length);
  const bool attends = filled_->expansion->attends;
  encoding.ids.resize(whole, filled_->expansion_id);
  encoding.type_ids.resize(whole, 0);
  encoding.offsets.resize(whole, {0, 0});
  encoding.special_mask.resize(whole, 1);
  encoding.attention_mask.resize(whole, attends ? 1 : 0);
  if (!attends) encoding.unattended = static_cast<std::int32_t>(length - size);
}

std::string TextInputs::cutting() const {
  if (!options_.max_length) return fmt::format("{} tokens, none", max_tokens_);
  return fmt::format("{} tokens, {}, {}", max_tokens_, to_string(*options_.truncation),
                     to_string(options_.truncation_side.value_or(text::Side::right)));
}

TextOptions as(TextRole role, const models::Package& package, TextOptions options) {
  options.role = role;
  if (options.prompt || options.prompt_name) return options;
  static constexpr std::array kQuery{"query"};
  static constexpr std::array kDocument{"document", "passage", "corpus"};
  const std::span<const char* const> names =
      role == TextRole::query ? std::span<const char* const>(kQuery) : kDocument;
  for (const char* name : names) {
    if (!package.prompts.contains(name)) continue;
    options.prompt_name = name;
    break;
  }
  return options;
}

TokenSequence to_sequence(const TokenSpec& spec, const text::Encoding& encoding) {
  TokenSequence sequence;
  sequence.ids = encoding.ids;
  sequence.pool_from = encoding.pool_from;
  if (spec.type_vocab_size > 0) sequence.types = encoding.type_ids;
  if (encoding.unattended == 0) return sequence;
  sequence.query_only = encoding.unattended;
  sequence.positions.resize(encoding.size());
  fill_positions(spec, encoding.ids, sequence.positions);
  sequence.columns.resize(encoding.size());
  std::iota(sequence.columns.begin(), sequence.columns.end(), 0);
  for (std::vector<std::int32_t>* each :
       {&sequence.ids, &sequence.types, &sequence.positions, &sequence.columns}) {
    if (each->empty()) continue;
    std::rotate(each->begin(), each->end() - encoding.unattended, each->end());
  }
  return sequence;
}

}  // namespace tessera
