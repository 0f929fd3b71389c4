// SPDX-License-Identifier: Apache-2.0
//
// One batch: gathered from wherever its sequences are, run on a Session, its rows handed out.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/session/session.hpp"
#include "tessera/pipeline/sequences.hpp"

namespace tessera {

/// What a sink gets for one sequence, in the order of the outputs: (T, width) for an output with a
/// row per token (of an image, per cell of its map), (1, width) for one with a row per sequence. Valid during the call only.
using Results = std::span<const TensorView<const float>>;
using Sink = std::function<void(std::size_t index, Results results)>;

/// The vectors of a batch, used again by the next one. One call at a time.
class BatchRunner {
 public:
  /// For sessions of `program` that compute `outputs`, all of which it has.
  BatchRunner(const Program& program, std::span<const std::string> outputs);

  /// Afterwards batches of ids and types, and of images, within these limits allocate nothing.
  void reserve(Index rows, Index sequences);

  /// Computes sequences[i] for all i of `chosen` in one run; `sink` gets each under its i.
  /// Errors: as Session::run().
  void run(Session& session, const Sequences& sequences, std::span<const std::size_t> chosen,
           const Sink& sink, const RunControl& control);
  /// As above, of images. Precondition: the model takes their sizes.
  void run(Session& session, std::span<const Image> images, bool interpolate_positions,
           std::span<const std::size_t> chosen, const Sink& sink, const RunControl& control);

 private:
  struct Wanted {
    std::string name;
    SpaceId space;
    Index first = 0;  ///< row of the next sequence
  };

  void clear();
  void append(const SequenceView& sequence);
  void emit(const Session& session, std::span<const std::size_t> chosen, const Sink& sink);

  const Program* program_;
  std::vector<Wanted> outputs_;
  std::vector<TensorView<const float>> whole_, part_;  // (outputs)
  // Of one batch. `has_`: some sequence of it gives them.
  bool has_types_ = false, has_positions_ = false, has_columns_ = false, has_query_only_ = false,
       has_pool_from_ = false;
  std::vector<std::int32_t> ids_, types_, positions_, columns_, offsets_, query_only_, pool_from_;
  std::vector<Image> images_;
};

}  // namespace tessera
