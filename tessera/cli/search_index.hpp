// SPDX-License-Identifier: Apache-2.0
// What `tessera search` searches: the lines of a file, with the text of each as a unit vector.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tessera/cli/records.hpp"

namespace tessera::cli {

/// One line of the indexed file.
struct Entry {
  std::size_t line = 0;              ///< its number, from 1
  std::string where;                 ///< for messages
  std::string text;                  ///< what is embedded
  std::vector<std::string> columns;  ///< what else the line says
};

struct IndexFlags {
  std::string file;
  std::optional<Index> column;  ///< from 1; nullopt: the last one of a .tsv, else the whole line
  bool has_header = false;
  bool is_jsonl = false;
  std::string save, load;  ///< .npy files; empty: none

  void add_to(CLI::App& command);
};

/// The entries of the file, without empty texts. Throws Error naming the line; invalid_argument if
/// there is no entry.
std::vector<Entry> read_entries(const IndexFlags& flags);

/// One row per entry, normalised (n, width): computed, or read from flags.load; saved to
/// flags.save.
std::vector<float> index_rows(const IndexFlags& flags, const std::vector<Entry>& entries,
                              const TextInputs& texts, TextEncoder& encoder);

}  // namespace tessera::cli
