// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/index_identity.hpp"

#include <fmt/format.h>

#include <array>
#include <set>
#include <vector>

#include "models/json.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "runtime/weights/content_hash.hpp"
#include "tessera/pipeline/json_text.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kVersion = 1;

// What decides the embedding of a text beside the weights.
constexpr std::array kFiles{
    "config.json",
    "modules.json",
    "router_config.json",
    "1_Pooling/config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
};

struct Field {
  const char* name;
  std::string IndexIdentity::*value;
};
// In the order in which a difference is named.
constexpr std::array kFields{
    Field{"model", &IndexIdentity::model},           Field{"prompt", &IndexIdentity::prompt},
    Field{"similarity", &IndexIdentity::similarity}, Field{"cutting", &IndexIdentity::cutting},
    Field{"lines", &IndexIdentity::lines},           Field{"vectors", &IndexIdentity::vectors},
};

std::uint64_t hash_text(std::string_view text) {
  return content_hash(std::as_bytes(std::span(text)));
}

std::uint64_t hash_of(const std::vector<std::uint64_t>& parts) {
  return content_hash(std::as_bytes(std::span(parts)));
}

std::string model_text(const models::Package& package) {
  std::vector<std::uint64_t> parts;
  for (const StoredTensor* tensor : package.checkpoint->tensors()) {
    parts.push_back(hash_text(tensor->name));
    parts.push_back(content_hash({tensor->data, tensor->bytes}));
  }
  for (const fs::path& directory : std::set{package.directory, package.transformer_directory}) {
    for (const char* name : kFiles) {
      if (!file_exists(directory / name)) continue;
      parts.push_back(hash_text(name));
      parts.push_back(hash_text(read_file(directory / name)));
    }
  }
  parts.push_back(package.lower_case_first ? 1 : 0);  // of a file with several names
  if (package.strips_texts) parts.push_back(hash_text("strip"));
  if (!package.route.empty()) parts.push_back(hash_text(package.route));
  if (!package.pools_prompts) parts.push_back(hash_text("include_prompt"));  // of any folder
  return fmt::format("{}, {}, {:016x}", package.architecture, package.embedding_description,
                     hash_of(parts));
}

}  // namespace

IndexIdentity identity_of(const models::Package& package, const TextInputs& texts,
                          models::SimilarityMeasure measure, std::span<const Entry> entries,
                          std::span<const float> rows) {
  std::vector<std::uint64_t> lines;
  for (const Entry& entry : entries) lines.push_back(hash_text(entry.text));
  return {.model = model_text(package),
          .prompt = texts.prompt(),
          .similarity = to_string(measure),
          .cutting = texts.cutting(),
          .lines = fmt::format("{}, {:016x}", lines.size(), hash_of(lines)),
          .vectors = fmt::format("{:016x}", content_hash(std::as_bytes(rows)))};
}

std::string identity_file(const std::string& index) {
  return index + ".json";
}

std::string to_json(const IndexIdentity& identity) {
  std::string out = fmt::format("{{\"tessera_index\": {}", kVersion);
  for (const Field& field : kFields) {
    out += fmt::format(", \"{}\": ", field.name);
    append_json_string(out, identity.*field.value);
  }
  return out + "}\n";
}

IndexIdentity load_identity(const std::string& index) {
  const std::string file = identity_file(index);
  if (!path_exists(file)) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: no such file, expected what --save-index writes beside {}: which "
                            "model and which lines the vectors are of",
                            file, index));
  }
  const auto document = json::Document::read(file, file, "an object");
  const json::Node& root = document.root();
  const json::Node version = json::require(root, "tessera_index", "a version");
  (void)json::as_integer(version, kVersion, kVersion, fmt::format("{}", kVersion));
  IndexIdentity identity;
  for (const Field& field : kFields) {
    identity.*field.value = json::as_string(json::require(root, field.name, "a string"));
  }
  return identity;
}

void require_same(const std::string& index, const IndexIdentity& saved, const IndexIdentity& now) {
  for (const Field& field : kFields) {
    const std::string &got = saved.*field.value, &expected = now.*field.value;
    if (got == expected) continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: the index was made for another \"{}\": got {}, expected {}", index,
                            field.name, detail::in_quotes(got), detail::in_quotes(expected)));
  }
}

}  // namespace tessera
