// SPDX-License-Identifier: Apache-2.0
// What is searched: texts, each with its vector.
#pragma once

#include <string>
#include <vector>

#include "tessera/pipeline/encoder.hpp"
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

struct SearchIndex {
  std::vector<Entry> entries;
  VectorIndex vectors;  // one per entry

  /// Computes the vectors. Errors: of a text, after its Entry::where.
  void embed(const TextInputs& texts, TextEncoder& encoder, const ProgressCallback& progress = {});
  /// Reads vectors that were saved for the same entries, those of `source`, and for the same model.
  /// Errors: as VectorIndex::load(); invalid_argument if they are others in number or width.
  void load(const std::string& path, Index expected_width, const std::string& source);
};

}  // namespace tessera
