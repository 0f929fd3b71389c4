// SPDX-License-Identifier: Apache-2.0
// Which lines a command reads, and what they are.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tessera/pipeline/record_stream.hpp"

namespace tessera::cli {

struct InputFlags {
  std::vector<std::string> files = {};  ///< of texts, or of images
  bool is_jsonl = false, is_ids = false, is_pairs = false;
  bool is_csv = false, is_tsv = false;
  bool plain_is_jsonl = false;  ///< a name that says nothing is of JSON lines
  std::optional<std::string> text_key = {}, pair_key = {}, id_key = {}, column = {},
                             pair_column = {};
  std::string text_name = "text",
              pair_name = "pair";  ///< where --text-key and --pair-key say no other
  bool has_header = false, has_no_quotes = false;
  std::string encoding = "utf-8";

  void add_format_to(CLI::App& command, bool with_pairs);
  /// --jsonl, columns, keys and the encoding.
  void add_lines_to(CLI::App& command);
  void add_id_key_to(CLI::App& command);

  /// The inputs of texts, stdin without any, each of the format that flags or its name say. Throws
  /// UsageError for flags that say nothing about any of them, and for stdin twice.
  std::vector<RecordInput> inputs() const;
  /// Throws UsageError where ids are asked for, and no JSON lines are written that could have them.
  void require_ids_in(const std::string& format) const;
  /// "-" without any.
  std::vector<std::string> paths() const;
  LineFormat format(const std::string& path) const;

 private:
  void require_readers_of_flags(const std::vector<RecordInput>& inputs) const;
};

/// --encoding NAME.
CLI::Option* add_encoding(CLI::App& command, std::string& encoding);

}  // namespace tessera::cli
