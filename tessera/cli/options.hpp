// SPDX-License-Identifier: Apache-2.0
// Flags that several sub-commands share, and what they are worth.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tessera/cli/input_flags.hpp"
#include "tessera/measure/metered_model.hpp"
#include "tessera/pipeline/image_encoder.hpp"
#include "tessera/pipeline/preparer.hpp"

namespace tessera::cli {

/// MODEL, and how to compute it.
struct ModelFlags {
  std::string model;
  std::string architecture;
  std::string isa;
  int threads = 0;                    // 0: not given
  Index batch_tokens = 0;             // 0: not given
  std::string plan;                   // empty: not given
  std::string loop_order, attention;  // empty: not given
  std::string row_blocks;             // a number, "off", "least"; empty: not given
  bool allow_onednn = false;
  std::string precision;
  std::string packed_cache;    // empty: none
  std::size_t memory_cap = 0;  // bytes; 0: none
  Index dims = 0;              // 0: not given
  Index top_k = 0;             // 0: not given
  std::string pooling;         // empty: not given
  bool normalize = false;
  std::string tower;  // "text", "image"; empty: not given

  void add_to(CLI::App& command);
  void add_tower_to(CLI::App& command);      ///< --tower of models that have two
  void add_embedding_to(CLI::App& command);  ///< --dims, --pooling, --normalize
  void add_top_k_to(CLI::App& command);      ///< --top-k of sparse embeddings
  void add_memory_to(CLI::App& command);
  void add_memory_cap_to(CLI::App& command, const char* names,
                         const char* help);  ///< --packed-cache, --memory-cap
  void add_plan_to(CLI::App& command);       ///< --plan, what is asked for instead, --allow-onednn
  /// Of the tower that the flag names, else of `otherwise`. Throws Error as models::open_package() does;
  /// UsageError where the flag was given, and the model has no two.
  std::shared_ptr<const models::Package> open_package(
      models::Tower otherwise = models::Tower::automatic,
      models::Route route = models::Route::automatic) const;
  /// `inputs` and the file of --plan: what the command reads, and no output may be.
  std::vector<std::string> with_plan(std::vector<std::string> inputs) const {
    if (!plan.empty()) inputs.push_back(plan);
    return inputs;
  }
  /// Throws UsageError where --top-k was given and none of `outputs` is sparse.
  void require_sparse_for_top_k(const models::Package& package,
                                const std::vector<std::string>& outputs) const;
  /// Throws UsageError for an instruction set that this CPU lacks.
  EncoderOptions encoder_options(std::vector<std::string> outputs) const;
};

/// How texts become tokens.
struct TextFlags : TextOptions {
  void add_to(CLI::App& command);
  void add_truncation_to(CLI::App& command);  ///< without the prompts
};

/// The prompt of the texts that queries look for.
struct DocumentPromptFlags {
  std::optional<std::string> prompt, prompt_name;

  /// `flag` TEXT and `flag`-name NAME; `of`: what they are put before.
  void add_to(CLI::App& command, const std::string& flag, const std::string& of);
  /// `text`, the options of queries, with this prompt in place of theirs.
  TextOptions options(TextOptions text) const;
};

/// How images are read, and what is written about them.
struct ImageFlags {
  ImageOptions options{};
  bool skips_others = false;
  bool shows_stats = false;

  void add_to(CLI::App& command);
};

/// --rows and --sequences of the commands that look at one batch.
struct BatchFlags {
  Index rows = 128;
  Index sequences = 0;  // 0: not given

  void add_to(CLI::App& command);
  /// batch_shape(). Throws UsageError for more or fewer sequences than there can be.
  BatchShape shape(const Program& program) const;
};

/// Throws UsageError if one of these flags of the command was given, for a model or an input that
/// they say nothing about.
void require_none(const CLI::App& command, std::initializer_list<const char*> flags,
                  const std::string& reason);

/// Throws UsageError if a flag of texts was given to a model of images, or the other way round.
void require_kind(const CLI::App& command, const models::Package& package);

/// A Preparer for these flags; where the model has no tokenizer, it says that ids can be given.
Preparer make_preparer(const CLI::App& command, const models::Package& package,
                       const InputFlags& input, const TextFlags& text);

/// A line on stderr if texts were cut: how many, and to what. To be called at the end.
void say_what_was_cut(std::string_view command, const TextInputs& texts);
/// As above, where earlier processes cut some.
void say_what_was_cut(std::string_view command, const TextInputs& texts, std::size_t cut,
                      std::size_t count);

/// Throws Error{unsupported_model} unless the model has an output "embedding".
void require_embedding(const models::Package& package);

// ---- Options: name, where the value goes, what it is called in --help, what it means --------------

constexpr std::int64_t kMany = std::int64_t{1} << 30;

/// Checks that say what was got and what is expected.
CLI::Validator integer_between(std::int64_t least, std::int64_t most);
CLI::Validator positive_number();
CLI::Validator one_of(std::vector<std::string> values);
/// The values of the option's one_of(); none where it has no such check.
std::vector<std::string> choices_of(CLI::Option& option);
/// An unset shell variable is no choice.
CLI::Validator not_empty();

template <class Value>
CLI::Option* add_option(CLI::App& command, const char* name, Value& value, const char* type,
                        const std::string& help) {
  return command.add_option(name, value, help)->type_name(type);
}
/// An integer from 1 to `most`.
template <class Value>
CLI::Option* add_count(CLI::App& command, const char* name, Value& value, const std::string& help,
                       std::int64_t most = kMany, const char* type = "N") {
  return add_option(command, name, value, type, help)->check(integer_between(1, most));
}
template <class Value>
CLI::Option* add_choice(CLI::App& command, const char* name, Value& value, const char* type,
                        std::vector<std::string> values, const std::string& help) {
  return add_option(command, name, value, type, help)->check(one_of(std::move(values)));
}
CLI::Option* add_output(CLI::App& command, std::string& path);

/// A sub-command of its flags, which have add_to() and run(). They live as long as it does.
template <class Flags>
void add_command(CLI::App& root, const char* name, const char* help) {
  CLI::App* const command = root.add_subcommand(name, help);
  auto flags = std::make_shared<Flags>();
  flags->add_to(*command);
  command->callback([flags, command] { flags->run(*command); });
}

// The sub-commands, one file each.
void add_embed(CLI::App& root);
void add_classify(CLI::App& root);
void add_answer(CLI::App& root);
void add_similar(CLI::App& root);
void add_search(CLI::App& root);
void add_rerank(CLI::App& root);
void add_tokens(CLI::App& root);
void add_info(CLI::App& root);
void add_plan(CLI::App& root);
void add_profile(CLI::App& root);
void add_report(CLI::App& root);
void add_run(CLI::App& root);
void add_quantize(CLI::App& root);
void add_verify(CLI::App& root);
/// `tessera manual`, for the build: --help does not show it.
void add_manual(CLI::App& root, const std::string& version);

}  // namespace tessera::cli
