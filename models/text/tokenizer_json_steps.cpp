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
  const json::Array array = as_array(pair);
  if (array.size() < 2) wrong(pair, "an array of token and id");
  const json::Value id = array[1];
  return as_id(item(pair, 1, id));
}

// One step may put tokens around the sequences, and one may trim offsets, in either order.
Template read_post_processors(const Node& processors) {
  Template all = Template::none();
  bool adds = false;
  std::size_t i = 0;
  for (const auto value : as_array(processors)) {
    const Node processor = item(processors, i++, value);
    Template next = read_post_processor(processor);
    const bool trims = next.trim_offsets;
    if (trims && all.trim_offsets) unsupported(processor, type_of(processor), "one that trims");
    const bool trim_offsets = trims || all.trim_offsets;
    const bool add_prefix_space = trims ? next.add_prefix_space : all.add_prefix_space;
    if (type_of(processor) != "ByteLevel") {
      if (adds) unsupported(processor, type_of(processor), "one that adds tokens");
      adds = true;
      all = std::move(next);
    }
    all.trim_offsets = trim_offsets;
    all.add_prefix_space = add_prefix_space;
  }
  return all;
}

}  // namespace

void unsupported(const Node& node, std::string_view got, std::string_view expected) {
  throw Error(
      ErrorCode::unsupported_model,
      fmt::format("{} is \"{}\", which is not supported yet; expected {} (token ids can be given "
                  "instead of text)",
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
    out.steps.push_back(read_replace(node));
  } else if (type == "ByteLevel") {
    out.steps.emplace_back(ByteLevelNormalizer{});
  } else if (type == "Nmt") {
    out.steps.emplace_back(NmtNormalizer{});
  } else if (type == "Precompiled") {
    out.steps.emplace_back(read_precompiled(node));
  } else {
    unsupported({node.where + ".type", node.value}, type,
                "BertNormalizer, Sequence, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Lowercase, "
                "StripAccents, Strip, Prepend, Replace or ByteLevel");
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
    read_byte_level(node, out);
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
  if (type == "Sequence") return read_post_processors(require(node, "processors", "an array"));
  unsupported({node.where + ".type", node.value}, type,
              "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel or Sequence");
}

}  // namespace tessera::text
