// SPDX-License-Identifier: Apache-2.0
// Flags that several sub-commands share, and what they are worth.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tessera/pipeline/image_encoder.hpp"
#include "tessera/pipeline/text_inputs.hpp"

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
  bool allow_onednn = false;

  void add_to(CLI::App& command);
  void add_plan_to(CLI::App& command);  ///< and add_onednn_to()
  void add_onednn_to(CLI::App& command);
  void add_forced_to(CLI::App& command);  ///< --loop-order and --attention
  /// Throws Error as models::open_package() does.
  std::shared_ptr<const models::Package> open_package() const;
  /// Throws UsageError for an instruction set that this CPU lacks.
  EncoderOptions encoder_options(std::vector<std::string> outputs) const;
};

/// How texts become tokens.
struct TextFlags {
  std::optional<Index> max_length;
  std::optional<std::string> truncation;
  std::optional<std::string> truncation_side;
  std::optional<std::string> prompt;
  std::optional<std::string> prompt_name;

  void add_to(CLI::App& command);
  void add_truncation_to(CLI::App& command);  ///< without the prompts
  TextOptions text_options() const;
  /// Throws UsageError if one is given, for inputs that are not text.
  void require_none(const std::string& reason) const;
};

/// Which lines a command reads.
struct InputFlags {
  std::string file = "-";
  std::vector<std::string> files;  ///< of add_files_to(): one of texts, or any number of images
  bool is_jsonl = false;
  bool is_ids = false;
  bool is_pairs = false;

  void add_file_to(CLI::App& command);
  void add_files_to(CLI::App& command);
  /// A copy whose `file` is the one of `files`. Throws UsageError if there are more.
  InputFlags of_text() const;
  /// Throws UsageError if a flag is given that says how to read texts.
  void require_none(const std::string& reason) const;
  void add_format_to(CLI::App& command, bool with_pairs);
};

/// How images are read, and what is written about them.
struct ImageFlags {
  bool interpolates_positions = false;
  bool skips_others = false;
  bool shows_stats = false;
  Index max_pixels = 0;  // 0: not given
  int loaders = 0;       // 0: not given

  void add_to(CLI::App& command);
  ImageOptions image_options() const;
  /// Throws UsageError if one is given, for a model of texts.
  void require_none(const std::string& reason) const;
};

/// How many sequences `rows` rows are in: as `asked`, else (0) as few as the model takes. Throws
/// UsageError if that many do not fit.
Index count_sequences(Index rows, Index asked, Index max_tokens);

/// A batch of `rows` rows in `sequences` sequences (0: as few as the model takes). Images come
/// whole, at the native size: as many as asked for, else as fit into `rows`, one at least.
struct BatchShape {
  Index rows, sequences;
};
BatchShape batch_shape(const Program& program, Index rows, Index sequences);

/// Throws Error{unsupported_model} unless the model has an output "embedding".
void require_embedding(const models::Package& package);

std::optional<text::TruncationStrategy> strategy_from_string(const std::string& name);
text::Side side_from_string(const std::string& name);

/// Checks that say what was got and what is expected.
CLI::Validator integer_between(std::int64_t least, std::int64_t most);
CLI::Validator one_of(std::vector<std::string> values);

// The sub-commands, one file each.
void add_embed(CLI::App& root);
void add_classify(CLI::App& root);
void add_similar(CLI::App& root);
void add_search(CLI::App& root);
void add_tokens(CLI::App& root);
void add_info(CLI::App& root);
void add_plan(CLI::App& root);
void add_profile(CLI::App& root);
void add_report(CLI::App& root);
void add_run(CLI::App& root);

}  // namespace tessera::cli
