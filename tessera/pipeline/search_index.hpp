// SPDX-License-Identifier: Apache-2.0
// What is searched: texts, each with its vector.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/max_sim.hpp"
#include "tessera/pipeline/record_stream.hpp"
#include "tessera/pipeline/text_inputs.hpp"
#include "tessera/pipeline/vector_index.hpp"

namespace tessera {

/// One line of the indexed file.
struct Entry {
  std::size_t line = 0;              ///< its number, from 1
  std::string where;                 ///< for messages
  std::string text;                  ///< what is embedded
  std::vector<std::string> columns;  ///< what else the line says
  std::string id = {};               ///< the user's own, as JSON; empty if there is none
};

/// The entries of an input as `tessera embed` reads it, without empty texts. `bad` is told of records
/// that cannot be read. Throws Error for what ends the input; invalid_argument if there is no entry.
std::vector<Entry> read_entries(const RecordInput& input,
                                const std::function<void(const BadRecord&)>& bad);

/// Entries that `bad` was told of and that are in the list no more: those whose text the model does
/// not take, such as one that is too long and not to be cut.
using BadEntry = std::function<void(const Error&)>;

/// The embeddings (n, width) of the entries that stay, as `tessera embed` writes them. Errors:
/// invalid_argument if none stays.
std::vector<float> embed_entries(std::vector<Entry>& entries, const TextInputs& texts,
                                 TextEncoder& encoder, const BadEntry& bad,
                                 const ProgressCallback& progress = {});

/// The same of late interaction: the token vectors of each entry that stays, in their order.
MaxSimIndex embed_entry_tokens(std::vector<Entry>& entries, const TextInputs& texts,
                               TextEncoder& encoder, VectorStore store, const BadEntry& bad,
                               const ProgressCallback& progress = {});

/// Leaves the same entries out without embedding the others.
void leave_out_bad_entries(std::vector<Entry>& entries, const TextInputs& texts,
                           const TextEncoder& encoder, const BadEntry& bad);

/// Rows that were saved. Errors: as read_npy(); corrupt_file if they are not `width` wide.
std::vector<float> load_rows(const std::string& path, Index width);

struct SearchIndex {
  std::vector<Entry> entries;
  VectorIndex vectors;  // one per entry
};

}  // namespace tessera
