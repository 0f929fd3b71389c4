// SPDX-License-Identifier: Apache-2.0
// Normalizer, pre-tokenizer and post-processor of a tokenizer.json.
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "models/text/tokenizer_json.hpp"
#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

std::u32string code_points(std::string_view utf8) {
  std::u32string out;
  for (std::size_t i = 0; i < utf8.size();) {
    const Decoded d = decode_utf8(utf8.data() + i);
    out.push_back(d.c);
    i += d.length;
  }
  return out;
}

SplitBehavior read_behavior(const Node& node) {
  const auto behavior = find(node, "behavior");
  if (!behavior) return SplitBehavior::isolated;
  const std::string_view name = as_string(*behavior);
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  unsupported(*behavior, name,
              "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

// The patterns of published files; nothing here interprets a regular expression.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kClipPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
// The tokens that it begins with are cut out of the text before.
constexpr std::string_view kClipPrefix = R"(<\|startoftext\|>|<\|endoftext\|>|)";

SplitRule read_split(const Node& node) {
  const Node pattern = require(node, "pattern", "{\"Regex\": text}");
  const Node regex = require(pattern, "Regex", "a regular expression");
  std::string_view text = as_string(regex);
  if (text.starts_with(kClipPrefix)) text.remove_prefix(kClipPrefix.size());
  const SplitBehavior behavior = read_behavior(node);
  const bool invert = bool_or(node, "invert", false);
  if (text == kClipPattern && behavior == SplitBehavior::removed && invert) {
    return {SplitAt::clip, behavior};
  }
  if (text == kGpt2Pattern &&
      (behavior == SplitBehavior::isolated || (behavior == SplitBehavior::removed && invert))) {
    return {SplitAt::gpt2, behavior};
  }
  unsupported(regex, text, "the pattern of GPT-2, isolated, or that of CLIP, removed and inverted");
}

std::vector<TemplatePiece> read_pieces(const Node& pieces, const Node& special_tokens,
                                       bool is_pair) {
  std::vector<TemplatePiece> out;
  std::size_t i = 0;
  for (const auto value : as_array(pieces)) {
    const Node piece = item(pieces, i++, value);
    const auto sequence = find(piece, "Sequence");
    const Node body =
        sequence ? *sequence : require(piece, "SpecialToken", "a Sequence or a SpecialToken");
    const Node id = require(body, "id", "a string");
    const std::string_view name = as_string(id);
    TemplatePiece result{};
    result.type_id = as_id(require(body, "type_id", "an integer"));
    if (sequence) {
      if (name != "A" && !(name == "B" && is_pair)) invalid(id, name, is_pair ? "A or B" : "A");
      result.kind = name == "A" ? TemplatePiece::Kind::first : TemplatePiece::Kind::second;
    } else {
      result.kind = TemplatePiece::Kind::special;
      const Node token = require(special_tokens, name, "an object with the ids");
      const Node ids = require(token, "ids", "an array");
      std::size_t k = 0;
      for (const auto x : as_array(ids)) {
        result.ids.push_back(as_id(item(ids, k++, x)));
      }
    }
    out.push_back(std::move(result));
  }
  return out;
}

// ["[SEP]", 102]
std::int32_t token_id_of(const Node& object, std::string_view key) {
  const Node pair = require(object, key, "an array of token and id");
  const simdjson::dom::array array = as_array(pair);
  simdjson::dom::element id;
  if (array.at(1).get(id) != simdjson::SUCCESS) wrong(pair, "an array of token and id");
  return as_id(item(pair, 1, id));
}

}  // namespace

void unsupported(const Node& node, std::string_view got, std::string_view expected) {
  throw Error(
      ErrorCode::unsupported_model,
      fmt::format("{} is \"{}\", which is not supported yet; expected {} (token ids can be given "
                  "instead of text: --ids)",
                  node.where, got, expected));
}

void invalid(const Node& node, std::string_view got, std::string_view expected) {
  json::complain(ErrorCode::corrupt_file, node.where, fmt::format("\"{}\"", got), expected);
}

std::string_view type_of(const Node& object) {
  const auto type = find(object, "type");
  return type ? as_string(*type) : std::string_view{};
}

void read_normalizer(const Node& node, Normalizer& out) {
  const std::string_view type = type_of(node);
  if (type == "BertNormalizer" || type == "Bert") {
    BertNormalizer n;
    n.clean_text = bool_or(node, "clean_text", n.clean_text);
    n.handle_chinese_chars = bool_or(node, "handle_chinese_chars", n.handle_chinese_chars);
    n.lowercase = bool_or(node, "lowercase", n.lowercase);
    if (const auto strip = find(node, "strip_accents")) n.strip_accents = as_bool(*strip);
    out.steps.emplace_back(n);
  } else if (type == "Sequence") {
    const Node steps = require(node, "normalizers", "an array");
    std::size_t i = 0;
    for (const auto step : as_array(steps)) read_normalizer(item(steps, i++, step), out);
  } else if (type == "NFC") {
    out.steps.emplace_back(UnicodeForm::nfc);
  } else if (type == "NFD") {
    out.steps.emplace_back(UnicodeForm::nfd);
  } else if (type == "NFKC") {
    out.steps.emplace_back(UnicodeForm::nfkc);
  } else if (type == "NFKD") {
    out.steps.emplace_back(UnicodeForm::nfkd);
  } else if (type == "Lowercase") {
    out.steps.emplace_back(LowercaseNormalizer{});
  } else if (type == "StripAccents") {
    out.steps.emplace_back(StripAccentsNormalizer{});
  } else if (type == "Strip") {
    out.steps.emplace_back(
        StripNormalizer{bool_or(node, "strip_left", true), bool_or(node, "strip_right", true)});
  } else if (type == "Prepend") {
    const Node prefix = require(node, "prepend", "a string");
    out.steps.emplace_back(PrependNormalizer{code_points(as_string(prefix))});
  } else if (type == "Replace") {
    const Node pattern = require(node, "pattern", "{\"String\": text}");
    const auto literal = find(pattern, "String");
    if (!literal) {
      const Node regex = require(pattern, "Regex", "a String or a Regex");
      const std::string_view content = as_string(require(node, "content", "a string"));
      if (as_string(regex) == " {2,}") {
        out.steps.emplace_back(SpacesNormalizer{code_points(content)});
        return;
      }
      if (as_string(regex) != "\\s+" || as_string(require(node, "content", "a string")) != " ") {
        unsupported(regex, as_string(regex), "\"\\s+\" replaced by a space, or a String");
      }
      out.steps.emplace_back(SpaceRunNormalizer{});
      return;
    }
    const Node content = require(node, "content", "a string");
    out.steps.emplace_back(
        ReplaceNormalizer{code_points(as_string(*literal)), code_points(as_string(content))});
  } else if (type == "Nmt") {
    out.steps.emplace_back(NmtNormalizer{});
  } else if (type == "Precompiled") {
    out.steps.emplace_back(read_precompiled(node));
  } else {
    unsupported({node.where + ".type", node.value}, type,
                "BertNormalizer, Sequence, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Lowercase, "
                "StripAccents, Strip, Prepend or Replace");
  }
}

void read_pre_tokenizer(const Node& node, PreTokenizer& out) {
  const std::string_view type = type_of(node);
  if (type == "BertPreTokenizer") {
    const PreTokenizer bert = PreTokenizer::bert();
    out.rules.insert(out.rules.end(), bert.rules.begin(), bert.rules.end());
  } else if (type == "Sequence") {
    const Node rules = require(node, "pretokenizers", "an array");
    std::size_t i = 0;
    for (const auto rule : as_array(rules)) {
      read_pre_tokenizer(item(rules, i++, rule), out);
    }
  } else if (type == "WhitespaceSplit") {
    out.rules.push_back({SplitAt::whitespace, SplitBehavior::removed});
  } else if (type == "Whitespace") {
    out.rules.push_back({SplitAt::word_change, SplitBehavior::removed});
  } else if (type == "Punctuation") {
    out.rules.push_back({SplitAt::punctuation, read_behavior(node)});
  } else if (type == "Digits") {
    const bool individual = bool_or(node, "individual_digits", false);
    out.rules.push_back(
        {SplitAt::numeric, individual ? SplitBehavior::isolated : SplitBehavior::contiguous});
  } else if (type == "ByteLevel") {
    if (bool_or(node, "add_prefix_space", true)) {
      if (!out.rules.empty()) {
        unsupported({node.where + ".add_prefix_space", node.value}, "true",
                    "false behind another pre-tokenizer");
      }
      out.add_prefix_space = true;
    }
    out.is_byte_level = true;
    if (bool_or(node, "use_regex", true)) {
      out.rules.push_back({SplitAt::gpt2, SplitBehavior::isolated});
    }
  } else if (type == "Metaspace") {
    out.rules.push_back(
        {SplitAt::metaspace, SplitBehavior::merged_with_next, read_metaspace(node)});
  } else if (type == "Split") {
    out.rules.push_back(read_split(node));
  } else {
    unsupported({node.where + ".type", node.value}, type,
                "BertPreTokenizer, ByteLevel, Metaspace, Split, Sequence, Whitespace, "
                "WhitespaceSplit, Punctuation or Digits");
  }
}

Template read_post_processor(const Node& node) {
  const std::string_view type = type_of(node);
  if (type == "TemplateProcessing") {
    const Node special_tokens = require(node, "special_tokens", "an object");
    Template t;
    t.single = read_pieces(require(node, "single", "an array"), special_tokens, false);
    t.pair = read_pieces(require(node, "pair", "an array"), special_tokens, true);
    return t;
  }
  if (type == "BertProcessing") {
    return Template::bert(token_id_of(node, "cls"), token_id_of(node, "sep"));
  }
  if (type == "RobertaProcessing") {
    Template t = Template::roberta(token_id_of(node, "cls"), token_id_of(node, "sep"));
    t.trim_offsets = bool_or(node, "trim_offsets", true);
    t.add_prefix_space = bool_or(node, "add_prefix_space", true);
    return t;
  }
  if (type == "ByteLevel") {
    Template t = Template::none();
    t.trim_offsets = bool_or(node, "trim_offsets", true);
    t.add_prefix_space = bool_or(node, "add_prefix_space", true);
    return t;
  }
  unsupported({node.where + ".type", node.value}, type,
              "TemplateProcessing, BertProcessing, RobertaProcessing or ByteLevel");
}

}  // namespace tessera::text
