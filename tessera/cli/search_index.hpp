// SPDX-License-Identifier: Apache-2.0
// What `tessera search` searches: the lines of a file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tessera/cli/records.hpp"
#include "tessera/pipeline/search_index.hpp"

namespace tessera::cli {

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

/// Fills index.rows: computed, or read from flags.load; saved to flags.save.
void embed_index(const IndexFlags& flags, SearchIndex& index, const TextInputs& texts,
                 TextEncoder& encoder);

}  // namespace tessera::cli
