// SPDX-License-Identifier: Apache-2.0
// What is searched: texts, each with its vector.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/text_encoding.hpp"
#include "tessera/pipeline/text_inputs.hpp"
#include "tessera/pipeline/vector_index.hpp"

namespace tessera {

/// One line of the indexed file.
struct Entry {
  std::size_t line = 0;              ///< its number, from 1
  std::string where;                 ///< for messages
  std::string text;                  ///< what is embedded
  std::vector<std::string> columns;  ///< what else the line says
};

/// How the lines of a file become entries.
struct EntryFormat {
  bool is_json = false;     ///< {"text": …, "pair": …}; implied by a name in .jsonl
  bool has_header = false;  ///< the first line names the columns
  std::optional<Index>
      column;  ///< from 1; nullopt: the last one of a .tsv or .csv, else the whole line
  TextEncoding encoding = TextEncoding::utf8;
};

/// The entries of the file, without empty texts. Throws Error naming the line; invalid_argument if
/// there is no entry.
std::vector<Entry> read_entries(const std::string& path, const EntryFormat& format);

/// The embeddings (n, width) of the entries, as `tessera embed` writes them. Errors: of a text, after
/// its Entry::where.
std::vector<float> embed_entries(std::span<const Entry> entries, const TextInputs& texts,
                                 TextEncoder& encoder, const ProgressCallback& progress = {});

/// Rows that were saved. Errors: as read_npy(); corrupt_file if they are not `width` wide.
std::vector<float> load_rows(const std::string& path, Index width);

struct SearchIndex {
  std::vector<Entry> entries;
  VectorIndex vectors;  // one per entry
};

}  // namespace tessera
