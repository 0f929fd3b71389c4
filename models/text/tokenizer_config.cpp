// SPDX-License-Identifier: Apache-2.0
// tokenizer_config.json, special_tokens_map.json and added_tokens.json, as transformers 4.x writes
// them.
//
// model_max_length is 10³⁰ in most files ("no limit"), an integer that no 64-bit type holds and
// that makes simdjson's DOM refuse the document. Its on-demand parser reads numbers only when
// asked.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "models/text/json.hpp"
#include "models/text/tokenizer_parts.hpp"
#include "runtime/base/files.hpp"

namespace tessera::text {
namespace {

namespace fs = std::filesystem;
namespace od = simdjson::ondemand;

constexpr double kNoModelMaxLength = 1e9;

// One field of one file, for complaints.
struct Field {
  std::string_view file;
  std::string name;

  [[noreturn]] void wrong(std::string_view expected) const {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: {} is of another type, expected {}", file, name, expected));
  }
};

// Calls `f(key, value)` for every member of the object in `file`; does nothing if there is no such
// file.
template <class F>
void for_each_member(const fs::path& file, F&& f) {
  if (!file_exists(file)) return;
  const simdjson::padded_string content = json::read(file);
  od::parser parser;
  try {
    od::document document = parser.iterate(content);
    od::object root = document.get_object();
    for (auto member : root) {
      const std::string_view key = member.unescaped_key();
      od::value value = member.value();
      f(key, value);
    }
  } catch (const simdjson::simdjson_error& e) {
    throw Error(ErrorCode::corrupt_file, fmt::format("{}: not valid JSON ({}), expected an object",
                                                     file.filename().string(), e.what()));
  }
}

bool is_null(od::value& value) {
  return value.type() == od::json_type::null;
}

std::optional<bool> read_bool(od::value& value, const Field& field) {
  if (is_null(value)) return std::nullopt;
  bool out = false;
  if (value.get_bool().get(out) != simdjson::SUCCESS) field.wrong("a boolean");
  return out;
}

// A token is a string or an object with the flags of an AddedToken.
std::optional<AddedToken> read_token(od::value& value, const Field& field, bool special) {
  AddedToken token;
  token.special = special;
  token.normalized = !special;
  switch (value.type()) {
    case od::json_type::null:
      return std::nullopt;
    case od::json_type::string:
      token.content = std::string_view(value.get_string());
      break;
    case od::json_type::object:
      for (auto member : value.get_object()) {
        const std::string_view key = member.unescaped_key();
        od::value x = member.value();
        const Field inner{field.file, fmt::format("{}.{}", field.name, key)};
        if (key == "content") {
          if (x.type() != od::json_type::string) inner.wrong("a string");
          token.content = std::string_view(x.get_string());
        } else if (key == "lstrip") {
          token.lstrip = read_bool(x, inner).value_or(token.lstrip);
        } else if (key == "rstrip") {
          token.rstrip = read_bool(x, inner).value_or(token.rstrip);
        } else if (key == "single_word") {
          token.single_word = read_bool(x, inner).value_or(token.single_word);
        } else if (key == "normalized") {
          token.normalized = read_bool(x, inner).value_or(token.normalized);
        } else if (key == "special") {
          token.special = read_bool(x, inner).value_or(token.special);
        }
      }
      break;
    default:
      field.wrong("a string or an object");
  }
  if (token.content.empty()) return std::nullopt;
  return token;
}

std::optional<AddedToken>* named_token(TokenizerConfig& config, std::string_view key) {
  if (key == "unk_token") return &config.unk;
  if (key == "sep_token") return &config.sep;
  if (key == "pad_token") return &config.pad;
  if (key == "cls_token") return &config.cls;
  if (key == "mask_token") return &config.mask;
  return nullptr;
}

// "30522" → 30522.
std::int64_t id_of_key(std::string_view key, const Field& field) {
  const bool is_number =
      !key.empty() && key.size() < 10 &&
      std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) field.wrong("token ids as its keys");
  return std::stoll(std::string(key));
}

void read_added_tokens_decoder(od::value& value, const Field& field,
                               std::map<std::int64_t, AddedToken>& by_id) {
  if (is_null(value)) return;
  if (value.type() != od::json_type::object) field.wrong("an object");
  for (auto member : value.get_object()) {
    const std::int64_t id = id_of_key(member.unescaped_key(), field);
    od::value x = member.value();
    if (auto token = read_token(x, {field.file, fmt::format("{}.{}", field.name, id)}, false)) {
      by_id.insert_or_assign(id, *std::move(token));
    }
  }
}

void read_additional(od::value& value, const Field& field, std::vector<AddedToken>& out) {
  if (is_null(value)) return;
  if (value.type() != od::json_type::array) field.wrong("an array");
  for (auto element : value.get_array()) {
    od::value x = element.value();
    if (auto token = read_token(x, field, true)) out.push_back(*std::move(token));
  }
}

std::string without_fast(std::string_view name) {
  if (name.ends_with("Fast")) name.remove_suffix(4);
  return std::string(name);
}

// A checkpoint that does not name its tokenizer has the one of its model type.
std::string class_of_model_type(const fs::path& directory) {
  std::string name;
  for_each_member(directory / "config.json", [&](std::string_view key, od::value& value) {
    if (key != "model_type" || value.type() != od::json_type::string) return;
    if (std::string_view(value.get_string()) == "mpnet") name = "MPNetTokenizer";
  });
  return name;
}

}  // namespace

TokenizerConfig read_tokenizer_config(const fs::path& directory) {
  TokenizerConfig config;
  config.exists = file_exists(directory / "tokenizer_config.json");
  std::map<std::int64_t, AddedToken> by_id;
  std::vector<AddedToken> additional;

  // The map is the older file; what tokenizer_config.json says counts.
  for (const char* file : {"special_tokens_map.json", "tokenizer_config.json"}) {
    for_each_member(directory / file, [&](std::string_view key, od::value& value) {
      const Field field{file, std::string(key)};
      if (std::optional<AddedToken>* token = named_token(config, key)) {
        if (auto read = read_token(value, field, true)) *token = std::move(read);
      } else if (key == "do_lower_case") {
        config.do_lower_case = read_bool(value, field);
      } else if (key == "strip_accents") {
        config.strip_accents = read_bool(value, field);
      } else if (key == "tokenize_chinese_chars") {
        config.tokenize_chinese_chars = read_bool(value, field);
      } else if (key == "add_prefix_space") {
        config.add_prefix_space = read_bool(value, field);
      } else if (key == "model_max_length") {
        double length = 0;
        if (is_null(value)) return;
        if (value.get_double().get(length) != simdjson::SUCCESS) field.wrong("a number");
        if (length >= 1 && length < kNoModelMaxLength) {
          config.model_max_length = static_cast<std::size_t>(length);
        }
      } else if (key == "tokenizer_class") {
        if (is_null(value)) return;
        std::string_view name;
        if (value.get_string().get(name) != simdjson::SUCCESS) field.wrong("a string");
        config.tokenizer_class = without_fast(name);
      } else if (key == "added_tokens_decoder") {
        read_added_tokens_decoder(value, field, by_id);
      } else if (key == "additional_special_tokens") {
        read_additional(value, field, additional);
      }
    });
  }
  for_each_member(directory / "added_tokens.json", [&](std::string_view key, od::value& value) {
    const Field field{"added_tokens.json", fmt::format("\"{}\"", key)};
    std::int64_t id = -1;
    if (value.get_int64().get(id) != simdjson::SUCCESS || id < 0) field.wrong("a token id");
    AddedToken token;
    token.content = key;
    token.special = false;
    token.normalized = true;
    for (const auto* named : {&config.unk, &config.sep, &config.pad, &config.cls, &config.mask}) {
      if (*named && (*named)->content == key) token = **named;
    }
    by_id.try_emplace(id, std::move(token));
  });
  if (config.tokenizer_class.empty()) config.tokenizer_class = class_of_model_type(directory);

  for (auto& [id, token] : by_id) config.extra.push_back(std::move(token));
  for (AddedToken& token : additional) {
    const bool known = std::any_of(config.extra.begin(), config.extra.end(),
                                   [&](const AddedToken& t) { return t.content == token.content; });
    if (!known) config.extra.push_back(std::move(token));
  }
  return config;
}

void find_special_ids(const TokenizerConfig& config, TokenizerParts& parts) {
  const auto find = [&](const std::optional<AddedToken>& named, std::string_view bert,
                        std::string_view mpnet) {
    if (named) return parts.id(named->content);
    const auto id = parts.id(bert);
    return id ? id : parts.id(mpnet);
  };
  parts.special.unk = parts.model.unk_id();
  parts.special.pad = find(config.pad, "[PAD]", "<pad>");
  parts.special.cls = find(config.cls, "[CLS]", "<s>");
  parts.special.sep = find(config.sep, "[SEP]", "</s>");
  parts.special.mask = find(config.mask, "[MASK]", "<mask>");
  if (!parts.special.pad && parts.padding) parts.special.pad = parts.padding->id;
}

}  // namespace tessera::text
