// SPDX-License-Identifier: Apache-2.0
// tokenizer_config.json, special_tokens_map.json and added_tokens.json, as transformers 4.x writes
// them.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <unordered_set>

#include "models/json.hpp"
#include "models/text/tokenizer_parts.hpp"
#include "runtime/base/files.hpp"

namespace tessera::text {
namespace {

namespace fs = std::filesystem;
using json::Node;

constexpr double kNoModelMaxLength = 1e9;
constexpr std::int64_t kMaxExtraIds = 100000;

// Calls `f(key, node)` for every member of the object in `file` that is not null, in order; does
// nothing if there is no such file.
template <class F>
void for_each_member(const fs::path& file, F&& f) {
  if (!file_exists(file)) return;
  const auto document = json::Document::read(file);
  for (const auto& [key, value] : json::as_object(document.root())) {
    if (!value.is_null()) f(key, json::member(document.root(), key, value));
  }
}

// A token is a string or an object with the flags of an AddedToken.
std::optional<AddedToken> read_token(const Node& node, bool special) {
  AddedToken token;
  token.special = special;
  token.normalized = !special;
  if (node.value.is_object()) {
    token.special = json::bool_or(node, "special", special);
    token.normalized = !token.special;
  }
  if (node.value.type() == json::Type::string) {
    token.content = json::as_string(node);
  } else if (node.value.is_object()) {
    if (const auto content = json::find(node, "content")) token.content = json::as_string(*content);
    token.lstrip = json::bool_or(node, "lstrip", token.lstrip);
    token.rstrip = json::bool_or(node, "rstrip", token.rstrip);
    token.single_word = json::bool_or(node, "single_word", token.single_word);
    token.normalized = json::bool_or(node, "normalized", token.normalized);
  } else if (!node.value.is_null()) {
    json::wrong(node, "a string or an object");
  }
  if (token.content.empty()) return std::nullopt;
  return token;
}

std::optional<AddedToken>* named_token(TokenizerConfig& config, std::string_view key) {
  if (key == "bos_token") return &config.bos;
  if (key == "eos_token") return &config.eos;
  if (key == "unk_token") return &config.unk;
  if (key == "sep_token") return &config.sep;
  if (key == "pad_token") return &config.pad;
  if (key == "cls_token") return &config.cls;
  if (key == "mask_token") return &config.mask;
  return nullptr;
}

// "30522" → 30522.
std::int64_t id_of_key(std::string_view key, const Node& node) {
  std::int32_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc{} || end != key.data() + key.size() || id < 0) {
    json::complain(ErrorCode::corrupt_file, node.where,
                   fmt::format("an object with the key \"{}\"", key), "token ids as its keys");
  }
  return id;
}

void read_added_tokens_decoder(const Node& node, std::map<std::int64_t, AddedToken>& by_id) {
  for (const auto& [key, value] : json::as_object(node)) {
    const std::int64_t id = id_of_key(key, node);
    if (auto token = read_token(json::member(node, key, value), false)) {
      by_id.insert_or_assign(id, *std::move(token));
    }
  }
}

std::unordered_set<std::string> contents_of(const std::vector<AddedToken>& tokens) {
  std::unordered_set<std::string> contents;
  for (const AddedToken& token : tokens) contents.insert(token.content);
  return contents;
}

// A list of tokens; extra_special_tokens may also be an object of them.
void read_additional(const Node& node, std::vector<AddedToken>& out) {
  std::unordered_set<std::string> known = contents_of(out);
  const auto add = [&](const Node& item) {
    auto token = read_token(item, true);
    if (!token || !known.insert(token->content).second) return;
    token->special = true;
    out.push_back(*std::move(token));
  };
  if (node.value.is_object()) {
    for (const auto& [key, value] : json::as_object(node)) add(json::member(node, key, value));
    return;
  }
  std::size_t i = 0;
  for (const auto value : json::as_array(node)) add(json::item(node, i++, value));
}

std::string without_fast(std::string_view name) {
  if (name.ends_with("Fast")) name.remove_suffix(4);
  return std::string(name);
}

struct ClassOfModelType {
  std::string_view model_type;
  const char* tokenizer_class;
};
constexpr ClassOfModelType kClassOfModelType[] = {
    {"bert", "BertTokenizer"},
    {"distilbert", "DistilBertTokenizer"},
    {"electra", "ElectraTokenizer"},
    {"mpnet", "MPNetTokenizer"},
    {"roberta", "RobertaTokenizer"},
    {"xlm-roberta", "XLMRobertaTokenizer"},
    {"xlm-roberta-xl", "XLMRobertaTokenizer"},
    {"camembert", "CamembertTokenizer"},
    {"albert", "AlbertTokenizer"},
    {"t5", "T5Tokenizer"},
    {"clip", "CLIPTokenizer"},
};

[[noreturn]] void refuse(const Node& node, std::string_view expected) {
  json::unsupported(node, fmt::format("{} (token ids can be given instead of text)", expected));
}

// The code that a directory brings along is never run; without it the ids would be others.
void refuse_remote_code(const Node& node) {
  if (!node.value.is_object()) refuse(node, "a tokenizer without code of its own");
  if (const auto own = json::find(node, "AutoTokenizer")) {
    refuse(*own, "a tokenizer without code of its own");
  }
}

// A checkpoint that does not name its tokenizer in tokenizer_config.json has the one of config.json:
// named there, or that of its model type.
std::string class_of_model(const fs::path& directory) {
  std::string name, of_type;
  for_each_member(directory / "config.json", [&](std::string_view key, const Node& node) {
    // It counts where tokenizer_config.json names no class.        AutoTokenizer.from_pretrained
    if (key == "auto_map") refuse_remote_code(node);
    std::string_view text;
    if (!node.value.get(text)) return;
    if (key == "tokenizer_class") name = without_fast(text);
    if (key != "model_type") return;
    const auto known =
        std::find_if(std::begin(kClassOfModelType), std::end(kClassOfModelType),
                     [&](const ClassOfModelType& x) { return x.model_type == text; });
    if (known != std::end(kClassOfModelType)) of_type = known->tokenizer_class;
  });
  return name.empty() ? of_type : name;
}

/// nullopt for what means no limit.
std::optional<std::size_t> length_of(const Node& node) {
  const double length = json::as_number(node);
  if (!(length >= 1 && length < kNoModelMaxLength)) return std::nullopt;
  return static_cast<std::size_t>(length);
}

Side side_of(const Node& node) {
  const std::string_view side = json::as_string(node);
  if (side != "left" && side != "right") json::unsupported(node, "\"left\" or \"right\"");
  return side == "left" ? Side::left : Side::right;
}

/// Reads one key of tokenizer_config.json or special_tokens_map.json.
void read_key(std::string_view key, const Node& node, TokenizerConfig& config,
              std::map<std::int64_t, AddedToken>& by_id) {
  if (std::optional<AddedToken>* token = named_token(config, key)) {
    if (auto read = read_token(node, true)) *token = std::move(read);
    if (key == "mask_token") config.mask_is_name = node.value.type() == json::Type::string;
  } else if (key == "do_lower_case") {
    config.do_lower_case = json::as_bool(node);
  } else if (key == "strip_accents") {
    config.strip_accents = json::as_bool(node);
  } else if (key == "tokenize_chinese_chars") {
    config.tokenize_chinese_chars = json::as_bool(node);
  } else if (key == "add_prefix_space") {
    config.add_prefix_space = json::as_bool(node);
  } else if (key == "add_bos_token") {
    config.add_bos_token = json::as_bool(node);
  } else if (key == "add_eos_token") {
    config.add_eos_token = json::as_bool(node);
  } else if (key == "keep_accents") {
    config.keep_accents = json::as_bool(node);
  } else if (key == "legacy") {
    config.legacy = json::as_bool(node);
  } else if (key == "extra_ids") {
    config.extra_ids = static_cast<std::size_t>(
        json::as_integer(node, 0, kMaxExtraIds, "an integer from 0 to 100000"));
  } else if (key == "model_max_length") {
    config.model_max_length = length_of(node);
  } else if (key == "max_len") {
    config.max_len = length_of(node);
  } else if (key == "truncation_side") {
    config.truncation_side = side_of(node);
  } else if (key == "padding_side") {
    config.padding_side = side_of(node);
  } else if (key == "model_input_names") {
    std::size_t i = 0;
    config.model_input_names.emplace();
    for (const auto name : json::as_array(node)) {
      config.model_input_names->emplace_back(json::as_string(json::item(node, i++, name)));
    }
  } else if (key == "tokenizer_class") {
    config.tokenizer_class = without_fast(json::as_string(node));
  } else if (key == "split_special_tokens") {
    if (json::as_bool(node)) refuse(node, "false");
  } else if (key == "auto_map") {
    refuse_remote_code(node);
  } else if (key == "added_tokens_decoder") {
    read_added_tokens_decoder(node, by_id);
  } else if (key == "additional_special_tokens" || key == "extra_special_tokens") {
    read_additional(node, config.additional);
  }
}

void read_added_tokens_json(const fs::path& directory, const TokenizerConfig& config,
                            std::map<std::int64_t, AddedToken>& by_id) {
  const std::unordered_set<std::string> additional = contents_of(config.additional);
  for_each_member(directory / "added_tokens.json", [&](std::string_view key, const Node& node) {
    AddedToken token;
    token.content = key;
    token.special = false;
    token.normalized = true;
    for (const AddedToken* named : config.named()) {
      if (named->content == key) token = *named;
    }
    if (additional.contains(token.content)) {
      token.special = true;
      token.normalized = false;
    }
    by_id.try_emplace(json::as_id(node), std::move(token));
  });
}

}  // namespace

TokenizerConfig read_tokenizer_config(const fs::path& directory) {
  TokenizerConfig config;
  config.exists = file_exists(directory / "tokenizer_config.json");
  std::map<std::int64_t, AddedToken> by_id;
  bool lists_added = false;
  bool has_length = false;
  const auto read = [&](const char* file) {
    for_each_member(directory / file, [&](std::string_view key, const Node& node) {
      lists_added |= key == "added_tokens_decoder";
      has_length |= key == "model_max_length";
      read_key(key, node, config, by_id);
    });
  };
  read("tokenizer_config.json");
  // A tokenizer_config.json that lists the added tokens needs no other file, and the reference reads
  // none; an older one is overruled by the two.         PreTrainedTokenizerBase._from_pretrained
  if (!lists_added) {
    read("special_tokens_map.json");
    read_added_tokens_json(directory, config, by_id);
  }
  if (!has_length) config.model_max_length = config.max_len;
  if (config.tokenizer_class.empty()) config.tokenizer_class = class_of_model(directory);

  for (auto& [id, token] : by_id) config.decoder.push_back(std::move(token));
  return config;
}

std::vector<const AddedToken*> TokenizerConfig::named() const {
  std::vector<const AddedToken*> tokens;
  for (const auto* token : {&bos, &eos, &unk, &sep, &pad, &cls, &mask}) {
    if (*token) tokens.push_back(&**token);
  }
  return tokens;
}

std::vector<AddedToken> TokenizerConfig::listed() const {
  std::vector<AddedToken> tokens = decoder;
  const std::unordered_set<std::string> known = contents_of(decoder);
  for (const AddedToken& token : additional) {
    if (!known.contains(token.content)) tokens.push_back(token);
  }
  return tokens;
}

void find_special_ids(const TokenizerConfig& config, TokenizerParts& parts) {
  const auto find = [&](const std::optional<AddedToken>& named, std::string_view bert,
                        std::string_view mpnet) {
    if (named) return parts.id(named->content);
    const auto id = parts.id(bert);
    return id ? id : parts.id(mpnet);
  };
  // Of a model without one the class has it all the same: RoBERTa's <unk>, say.
  parts.special.unk = parts.model.unk_id();
  if (!parts.special.unk) parts.special.unk = find(config.unk, "[UNK]", "<unk>");
  parts.special.pad = find(config.pad, "[PAD]", "<pad>");
  parts.special.cls = find(config.cls, "[CLS]", "<s>");
  parts.special.sep = find(config.sep, "[SEP]", "</s>");
  parts.special.mask = find(config.mask, "[MASK]", "<mask>");
  if (!parts.special.pad && parts.padding) parts.special.pad = parts.padding->id;
}

}  // namespace tessera::text
