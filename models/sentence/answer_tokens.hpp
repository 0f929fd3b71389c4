// SPDX-License-Identifier: Apache-2.0
//
// A causal language model as a reranker (Qwen3-Reranker, Zhang et al. 2025): which tokens are the answers,
// and what a pair is written as. Files of sentence-transformers 5.4 say it:
//
//   modules.json                       Transformer, LogitScore
//   1_LogitScore/config.json           true_token_id, false_token_id
//   sentence_bert_config.json          transformer_task "text-generation", modality_config
//   chat_template.jinja                which is not run, but known again
//   config_sentence_transformers.json  the instruction as the default prompt; activation_fn
//
// A directory without modules.json, as the models were published first, says none of this: it is read as
// their model card reads it, where its tokenizer has both tokens.
#pragma once

#include <filesystem>
#include <string_view>

#include "models/package.hpp"
#include "models/sentence/files.hpp"

namespace tessera::models {

/// package.answer_tokens, pair_template and task of a class with the suffix "ForCausalLM"; and
/// package.tokenizer where it was asked. Any other class stays what it is.
/// Errors  as Config's; unsupported_model: LogitScore behind another class, a chat template that is not
///         Qwen3-Reranker's
void read_answer_tokens(const std::filesystem::path& directory,
                        const std::filesystem::path& transformer, const SentenceFiles& files,
                        std::string_view class_suffix, Package& package);

/// activation_fn of config_sentence_transformers.json, where that is of a CrossEncoder.
void read_cross_encoder_activation(const std::filesystem::path& directory, Package& package);

}  // namespace tessera::models
