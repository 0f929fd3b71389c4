// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/answer_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "models/heads.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {
namespace {

namespace fs = std::filesystem;

// Qwen3-Reranker-0.6B, README.md
constexpr std::string_view kBefore =
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    "the Instruct provided. Note that the answer can only be \"yes\" or "
    "\"no\".<|im_end|>\n<|im_start|>user\n";
constexpr std::string_view kAfter = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
constexpr const char* kInstruction =
    "Given a web search query, retrieve relevant passages that answer the query";
constexpr const char* kCrossEncoder = "config_sentence_transformers.json";

/// The chat template, with its escapes as what they stand for, and the file that has it; or none.
struct ChatTemplate {
  std::string text, file;
};

std::string unescaped(std::string_view jinja) {
  std::string text;
  for (std::size_t i = 0; i < jinja.size(); ++i) {
    const bool is_escape = jinja[i] == '\\' && i + 1 < jinja.size();
    if (is_escape) ++i;
    text += is_escape && jinja[i] == 'n' ? '\n' : jinja[i];
  }
  return text;
}

ChatTemplate read_chat_template(const fs::path& directory) {
  const char* const file = "chat_template.jinja";
  if (path_exists(directory / file)) return {unescaped(read_file(directory / file)), file};
  const char* const config = "tokenizer_config.json";
  if (!path_exists(directory / config)) return {};
  return {unescaped(Config::read(directory / config, config).string("chat_template", "")), config};
}

/// A template is a program; what is looked for are the texts that it puts around an instruction, a query
/// and a document.
bool is_of_qwen3_reranker(const std::string& text) {
  const auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  constexpr std::string_view kSystem = kBefore.substr(kBefore.find("Judge"), 100);
  constexpr std::array kParts{kSystem, std::string_view("<Instruct>: "),
                              std::string_view("<Query>: "), std::string_view("<Document>: "),
                              std::string_view("<think>\n\n</think>\n\n")};
  return std::all_of(kParts.begin(), kParts.end(), has) && !has("\n\n<Query>") &&
         !has("\n\n<Document>");
}

AnswerTokens read_logit_score(const fs::path& directory, const SentenceModule& module) {
  const std::string name = module.path + "/config.json";
  const Config config = Config::read(directory / module.path / "config.json", name);
  if (config.string("module_input_name", "causal_logits") != "causal_logits") {
    config.unsupported("module_input_name", "\"causal_logits\"");
  }
  if (!config.has("true_token_id")) config.wrong("true_token_id", "the id of a token");
  AnswerTokens tokens{.yes = static_cast<std::int32_t>(config.integer("true_token_id", 0)),
                      .from = name};
  if (config.has("false_token_id")) {
    tokens.no = static_cast<std::int32_t>(config.integer("false_token_id", 0));
    if (*tokens.no == tokens.yes) {
      config.wrong("false_token_id", "another token than true_token_id");
    }
  }
  return tokens;
}

/// "yes" and "no" of the tokenizer, if there is one that has both.
std::optional<AnswerTokens> find_answers(const fs::path& transformer, Package& package) {
  if (!text::directory_has_tokenizer(transformer)) return std::nullopt;
  try {
    package.tokenizer = text::Tokenizer::from_directory(transformer);
  } catch (const Error&) {
    return std::nullopt;  // open_tokenizer() says it again, and keeps it
  }
  const auto yes = package.tokenizer->id("yes"), no = package.tokenizer->id("no");
  if (!yes || !no) return std::nullopt;
  return AnswerTokens{.yes = *yes, .no = no, .from = "the tokenizer's \"yes\" and \"no\""};
}

}  // namespace

std::string_view PairTemplate::before() noexcept {
  return kBefore;
}
std::string_view PairTemplate::after() noexcept {
  return kAfter;
}
std::string PairTemplate::between(std::string_view instruction, std::string_view query,
                                  std::string_view document) {
  return fmt::format("<Instruct>: {}\n<Query>: {}\n<Document>: {}", instruction, query, document);
}

void read_answer_tokens(const fs::path& directory, const fs::path& transformer,
                        const SentenceFiles& files, std::string_view class_suffix,
                        Package& package) {
  const bool is_causal = class_suffix == "ForCausalLM";
  if (files.logit_score && !is_causal) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("modules.json: \"{}\" is a LogitScore over a {}, expected a causal "
                            "language model",
                            files.logit_score->path, package.architecture));
  }
  if (!is_causal) return;
  if (!files.logit_score) {
    package.answer_tokens = find_answers(transformer, package);
    if (!package.answer_tokens) return;
    package.pair_template = {.instruction = kInstruction,
                             .from = "assumed, as Qwen3-Reranker's model card: no files say"};
  } else {
    package.answer_tokens = read_logit_score(directory, *files.logit_score);
    if (files.reads_messages) {
      const ChatTemplate chat = read_chat_template(transformer);
      if (!is_of_qwen3_reranker(chat.text)) {
        throw Error(ErrorCode::unsupported_model,
                    fmt::format("{}: got {}, which is not run, expected that of Qwen3-Reranker",
                                chat.file.empty() ? "chat_template.jinja" : chat.file,
                                chat.text.empty() ? "no chat template" : "another chat template"));
      }
      const auto prompt = files.prompts.find(files.default_prompt_name);
      package.pair_template = {
          .instruction = prompt == files.prompts.end() ? kInstruction : prompt->second,
          .from = fmt::format("that of Qwen3-Reranker, known again in {}", chat.file)};
    }
  }
  package.task = Task::sequence_classification;
  package.labels = {"yes"};
}

void read_cross_encoder_activation(const fs::path& directory, Package& package) {
  if (package.task != Task::sequence_classification || package.program.images() != nullptr) return;
  if (!path_exists(directory / kCrossEncoder)) return;
  const Config config = Config::read(directory / kCrossEncoder, kCrossEncoder);
  if (config.string("model_type", "") != "CrossEncoder") return;
  read_score_activation(config, "activation_fn", package);
}

}  // namespace tessera::models
