// SPDX-License-Identifier: Apache-2.0
// add_bos_token and add_eos_token of tokenizer_config.json: LlamaTokenizerFast and GemmaTokenizerFast
// put a template of their own in the place of tokenizer.json's (transformers 4.57,
// update_post_processor):
//
//   [bos]:0 A:0 [eos]:0                    a text
//   [bos]:0 A:0 [eos]:0 [bos]:1 B:1 [eos]:1    a pair
#include <fmt/format.h>

#include "models/text/tokenizer_parts.hpp"
#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

using Kind = TemplatePiece::Kind;

[[noreturn]] void refuse(const std::string& got, std::string_view expected) {
  throw Error(ErrorCode::unsupported_model,
              fmt::format("tokenizer_config.json: {}, expected {} (token ids can be given instead "
                          "of text)",
                          got, expected));
}

/// The id of a token that the template needs.
std::int32_t id_of(const TokenizerParts& parts, const std::optional<AddedToken>& named,
                   const char* of_class, const char* key) {
  const std::string name = named ? named->content : of_class;
  if (const auto id = parts.id(name)) return *id;
  refuse(fmt::format("{} is true, and the vocabulary lacks \"{}\"", key, name),
         "a token of the vocabulary");
}

/// Whether the template of tokenizer.json has a special token at this end of a text.
bool has_special(const std::vector<TemplatePiece>& pieces, bool at_front) {
  return !pieces.empty() && (at_front ? pieces.front() : pieces.back()).kind == Kind::special;
}

}  // namespace

void apply_bos_eos(const TokenizerConfig& config, TokenizerParts& parts) {
  const std::string& name = config.tokenizer_class;
  const bool is_gemma = name == "GemmaTokenizer";
  if (!config.exists || (!is_gemma && name != "LlamaTokenizer" && name != "CodeLlamaTokenizer")) {
    // Others take the template of the file.
    if (config.add_bos_token.value_or(false) && !has_special(parts.post.single, true)) {
      refuse(fmt::format("add_bos_token is true for tokenizer_class \"{}\"", name),
             "false, as tokenizer.json puts nothing before a text");
    }
    if (config.add_eos_token.value_or(false) && !has_special(parts.post.single, false)) {
      refuse(fmt::format("add_eos_token is true for tokenizer_class \"{}\"", name),
             "false, as tokenizer.json puts nothing behind a text");
    }
    return;
  }
  Template post;
  for (const std::int32_t type : {0, 1}) {
    if (config.add_bos_token.value_or(true)) {
      const char* const bos = is_gemma ? "<bos>" : "<s>";
      post.pair.push_back({Kind::special, type, {id_of(parts, config.bos, bos, "add_bos_token")}});
    }
    post.pair.push_back({type == 0 ? Kind::first : Kind::second, type, {}});
    if (config.add_eos_token.value_or(false)) {
      const char* const eos = is_gemma ? "<eos>" : "</s>";
      post.pair.push_back({Kind::special, type, {id_of(parts, config.eos, eos, "add_eos_token")}});
    }
    if (type == 0) post.single = post.pair;
  }
  parts.post = std::move(post);
}

}  // namespace tessera::text
