// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/multi_vector.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {
namespace {

constexpr const char* kMetadata = "artifact.metadata";
constexpr Index kExpandedLength = 32;

/// string.punctuation
std::vector<std::string> punctuation() {
  constexpr std::string_view kAll = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  std::vector<std::string> out;
  for (const char c : kAll) out.emplace_back(1, c);
  return out;
}

/// nullopt where the key is not there, null or 0. One token has no room for a text.
std::optional<Index> length_of(const Config& config, const char* key) {
  if (!config.has(key) || config.is_null(key) || config.integer(key, 0, 0) == 0) {
    return std::nullopt;
  }
  return config.integer(key, 0, 3);
}

std::string string_or(const Config& config, const char* key, const std::string& otherwise) {
  if (!config.has(key) || config.is_null(key)) return otherwise;
  const std::string given = config.string(key, "");
  return given.empty() ? otherwise : given;
}

void add_prompt(std::map<std::string, std::string>& prompts, const char* name,
                const std::string& text) {
  std::string& prompt = prompts[name];
  if (prompt.empty()) prompt = text;
}

}  // namespace

MultiVectorFiles read_stanford(const std::filesystem::path& directory,
                               std::map<std::string, std::string>& prompts) {
  MultiVectorFiles files;
  files.is_stanford = true;
  files.expansion = {.length = kExpandedLength, .is_fixed = true, .attends = false, .token = ""};
  files.skipped = punctuation();
  std::string query = "[unused0]", document = "[unused1]";
  if (path_exists(directory / kMetadata)) {
    const Config config = Config::read(directory / kMetadata, kMetadata);
    query = string_or(config, "query_token_id", query);
    document = string_or(config, "doc_token_id", document);
    files.document_length = length_of(config, "doc_maxlen");
    files.expansion->length = length_of(config, "query_maxlen").value_or(kExpandedLength);
    files.expansion->attends = config.boolean("attend_to_mask_tokens", false);
    const bool is_null = config.has("mask_punctuation") && config.is_null("mask_punctuation");
    if (is_null || !config.boolean("mask_punctuation", true)) files.skipped.clear();
    if (config.string("similarity", "cosine") != "cosine") {
      config.unsupported("similarity", "\"cosine\"");
    }
  }
  add_prompt(prompts, "query", query + " ");
  add_prompt(prompts, "document", document + " ");
  files.markers = {query + " ", document + " "};
  return files;
}

void read_pylate(const Config& config, MultiVectorFiles& files,
                 std::map<std::string, std::string>& prompts) {
  for (const auto& [key, prompt] :
       {std::pair{"query_prefix", "query"}, std::pair{"document_prefix", "document"}}) {
    const std::string prefix = string_or(config, key, "");
    if (prefix.empty()) continue;
    add_prompt(prompts, prompt, prefix);
    files.markers.push_back(prefix);
  }
  constexpr std::array kKeys{"query_length",          "document_length",
                             "do_query_expansion",    "attend_to_expansion_tokens",
                             "attend_to_mask_tokens", "query_prefix",
                             "document_prefix",       "skiplist_words"};
  const bool is_pylate =
      std::any_of(kKeys.begin(), kKeys.end(), [&](const char* key) { return config.has(key); });
  if (const auto length = length_of(config, "document_length")) files.document_length = length;
  if (config.has("query_expansion")) {
    read_lengths(config, files);
  } else if (!is_pylate || !config.boolean("do_query_expansion", true)) {
    files.query_length = length_of(config, "query_length");
  } else {
    files.expansion =
        QueryExpansion{.length = length_of(config, "query_length").value_or(kExpandedLength),
                       .is_fixed = true,
                       .attends = config.boolean("attend_to_expansion_tokens",
                                                 config.boolean("attend_to_mask_tokens", false)),
                       .token = ""};
  }
  if (files.has_mask) return;
  const bool names_words = config.has("skiplist_words") && !config.is_null("skiplist_words");
  files.skipped = names_words ? config.strings("skiplist_words") : punctuation();
}

void read_lengths(const Config& config, MultiVectorFiles& files) {
  if (const auto length = length_of(config, "query_length")) files.query_length = length;
  if (const auto length = length_of(config, "document_length")) files.document_length = length;
  if (!config.has("query_expansion")) return;
  files.expansion.reset();
  if (config.is_null("query_expansion")) return;
  const Config expansion = config.object("query_expansion");
  const std::string strategy = expansion.string("strategy", "");
  if (strategy != "fixed" && strategy != "min") expansion.unsupported("strategy", "fixed or min");
  for (const auto& [key, value] : expansion.shown_members()) {
    if (key == "strategy" || key == "attend" || key == "token" || key == "length") continue;
    expansion.unsupported(key, "strategy, attend, token and length");
  }
  const std::optional<Index> length = length_of(expansion, "length");
  if (!length) expansion.wrong("length", "a whole number, 1 or more");
  files.expansion = QueryExpansion{.length = *length,
                                   .is_fixed = strategy == "fixed",
                                   .attends = expansion.boolean("attend", false),
                                   .token = string_or(expansion, "token", "")};
  if (files.query_length && *files.query_length < *length) {
    config.wrong("query_length",
                 fmt::format("at least the length of query_expansion, {}", *length));
  }
}

void read_mask(const Config& config, MultiVectorFiles& files) {
  files.skipped.clear();
  if (config.has("skiplist_words") && !config.is_null("skiplist_words")) {
    files.skipped = config.strings("skiplist_words");
  }
  if (config.has("keep_only_token_ids") && !config.is_null("keep_only_token_ids")) {
    config.unsupported("keep_only_token_ids", "null: no list of tokens that alone have vectors");
  }
  if (!config.has("skiplist_tasks") || config.is_null("skiplist_tasks")) return;
  files.skips_queries = files.skips_documents = false;
  for (const std::string& task : config.strings("skiplist_tasks")) {
    files.skips_queries = files.skips_queries || task == "query";
    files.skips_documents = files.skips_documents || task == "document";
  }
}

MultiVector resolve(const MultiVectorFiles& files, const text::Tokenizer& tokenizer) {
  MultiVector out{.query_length = files.query_length,
                  .document_length = files.document_length,
                  .expansion = files.expansion,
                  .skipped = {},
                  .skips_queries = files.skips_queries,
                  .skips_documents = files.skips_documents,
                  .is_mean = files.is_mean};
  for (const std::string& word : files.skipped) {
    const auto id = tokenizer.id(word);
    if (id) out.skipped.push_back(*id);  // others are no single token, and skip nothing
  }
  std::sort(out.skipped.begin(), out.skipped.end());
  if (!out.expansion) return out;
  const auto id =
      out.expansion->token.empty() ? tokenizer.mask_id() : tokenizer.id(out.expansion->token);
  if (!id) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("query expansion: the tokenizer lacks {}, expected the token that "
                            "queries are filled up with",
                            out.expansion->token.empty() ? "a mask token"
                                                         : '"' + out.expansion->token + '"'));
  }
  out.expansion_id = *id;
  return out;
}

}  // namespace tessera::models
