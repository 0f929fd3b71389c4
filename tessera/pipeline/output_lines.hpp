// SPDX-License-Identifier: Apache-2.0
// Outputs of one run as JSON, a line for each input, of any outputs of any model:
//
//   {"embedding": […], "sparse": [{"token": …, "id": …, "weight": …}, …], "vectors": [[…], …]}
//
// A row per input is under the output's name, a sparse one under "sparse", rows per token under
// "vectors"; where two outputs would have the same key, each has the name that was asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/package.hpp"
#include "tessera/pipeline/batch_runner.hpp"
#include "tessera/pipeline/sparse.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera {

class OutputLines {
 public:
  /// `names`: outputs of `package`, which must outlive this, in the order of the results;
  /// `asked`: what the caller called them. `role`: of the texts of late interaction, whose token vectors it chooses.
  OutputLines(const models::Package& package, const std::vector<std::string>& names,
              const std::vector<std::string>& asked, const SparseText& sparse, TextRole role);

  /// The line of one input and its end. `sequence`: its tokens, none of an image; `source`: what JSON
  /// calls what it came from, and that.
  struct Source {
    std::string_view key, value;
  };
  std::string line(Results results, const SequenceView& sequence,
                   const std::optional<Source>& source) const;

 private:
  enum class Kind : std::uint8_t { dense, sparse, vectors, token_vectors };
  struct Key {
    std::string name;
    Kind kind;
    Index first;  ///< of the rows of a text: 1 where that of the class token is none of its vectors
  };

  const models::Package& package_;
  SparseText sparse_;
  TextRole role_;
  std::vector<Key> keys_;  // of each output
};

}  // namespace tessera
