// SPDX-License-Identifier: Apache-2.0
// What a tokenizer.json says by patterns: Split, Replace, and the pattern that ByteLevel implies.
#include <string>

#include "models/text/tokenizer_json.hpp"
#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

// {"String": text} or {"Regex": pattern}.
Regex read_pattern(const Node& pattern) {
  if (const auto literal = find(pattern, "String")) {
    return Regex::literal(as_string(*literal), literal->where);
  }
  const Node regex = require(pattern, "Regex", "a String or a Regex");
  return {as_string(regex), regex.where};
}

}  // namespace

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

SplitRule read_split(const Node& node) {
  return SplitRule::at_pattern(read_pattern(require(node, "pattern", "a String or a Regex")),
                               read_behavior(node), bool_or(node, "invert", false));
}

NormalizerStep read_replace(const Node& node) {
  const Node pattern = require(node, "pattern", "a String or a Regex");
  std::u32string content = code_points(as_string(require(node, "content", "a string")));
  const auto literal = find(pattern, "String");
  if (literal && !as_string(*literal).empty()) {
    return ReplaceNormalizer{code_points(as_string(*literal)), std::move(content)};
  }
  return ReplacePatternNormalizer{read_pattern(pattern), std::move(content)};
}

void read_byte_level(const Node& node, PreTokenizer& out) {
  if (bool_or(node, "add_prefix_space", true)) out.rules.push_back({SplitAt::prefix_space});
  if (bool_or(node, "use_regex", true)) out.rules.push_back(SplitRule::gpt2());
  out.rules.push_back({SplitAt::byte_level});
}

}  // namespace tessera::text
