// SPDX-License-Identifier: Apache-2.0
// What is searched: texts, each as a unit vector, and the ranking of them by cosine.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tessera/pipeline/byte_sink.hpp"
#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/similarity.hpp"
#include "tessera/pipeline/text_inputs.hpp"

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
  Index width = 0;
  std::vector<float> rows;  // (entries, width), of length 1

  /// Computes the rows. Errors: of a text, after its Entry::where.
  void embed(const TextInputs& texts, TextEncoder& encoder, const ProgressCallback& progress = {});
  /// Reads rows that save() wrote for the same entries, those of `source`, and for the same model.
  /// Errors: as read_npy(); invalid_argument if they are others in number or width.
  void load(const std::string& path, Index expected_width, const std::string& source);
  void save(ByteSink& out) const;

  /// The `count` entries that fit `query` (width) best, which becomes a unit vector.
  std::vector<Hit> find(std::span<float> query, std::size_t count) const;
};

}  // namespace tessera
