// SPDX-License-Identifier: Apache-2.0
// From records to results in the order of the input, window by window: the input may be larger
// than memory, and nobody waits longer than for a window.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/preparer.hpp"
#include "tessera/pipeline/record_stream.hpp"

namespace tessera {

/// One sequence of a record, and what was computed.
struct RecordPart {
  const TokenSequence& sequence;
  const text::Encoding& encoding;  ///< kept for outputs with a row per token; else empty, as of ids
  Results outputs;                 ///< in the encoder's order: (T, width) or (1, width) each
};

/// What became of one record. Valid during the call only.
struct RecordResult {
  const Record& record;
  std::span<const RecordPart> parts;  ///< as Prepare gave them: one, as a rule
  bool is_cut;                        ///< whether tokens of a text were left out

  /// The first output of the only part.
  const TensorView<const float>& output() const noexcept { return parts[0].outputs[0]; }
};

struct RecordCounts {
  std::size_t read = 0;    ///< records of the input, good and bad
  std::size_t failed = 0;  ///< those without a result
  std::size_t cut = 0;     ///< texts that were cut
};

/// Who is told.
struct RecordSinks {
  /// In the order of the input.
  std::function<void(const RecordResult& result)> result;
  /// A record without a result: why, beginning with where. Before the results of its window.
  std::function<void(const Error& error)> failed;
  /// The results of a window are out.
  std::function<void(const RecordCounts& counts)> end_of_window;
  /// Which fraction of the input is done: negative where that is unknown.
  std::function<void(std::size_t done, double fraction)> progress;
};

/// Runs `encoder` over all records of `stream`. Windows grow up to 4096 records; where the writer of
/// the input pauses, what is there makes a window. Results do not depend on windows.
/// `before`: counts of an earlier run, whose records are skipped.
/// Errors: what ends the input; the results of all records before are out then.
RecordCounts run_records(RecordStream& stream, const Prepare& prepare, TextEncoder& encoder,
                         const RecordSinks& sinks, const RecordCounts& before = {});

}  // namespace tessera
