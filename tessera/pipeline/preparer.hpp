// SPDX-License-Identifier: Apache-2.0
// From records to sequences, and from a file of records to results in the order of its lines.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/records.hpp"

namespace tessera {

/// A record as the model reads it; `encoding` is empty for records of ids.
struct Prepared {
  TokenSequence sequence;
  text::Encoding encoding;
};

class Preparer {
 public:
  /// `package` must outlive it. Errors: as TextInputs(); of ids it is not asked.
  Preparer(const models::Package& package, LineFormat format, const TextOptions& options);

  LineFormat format() const noexcept { return format_; }
  /// Throws Error{invalid_argument} naming the line. Ids are not looked at: that is for
  /// check_sequences() and TextEncoder::run().
  Prepared prepare(const Record& record) const;
  /// Null for ids.
  const TextInputs* texts() const noexcept { return texts_.get(); }

 private:
  const models::Package& package_;
  LineFormat format_;
  std::unique_ptr<const TextInputs> texts_;
};

/// What became of one record. Valid during the call only.
struct RecordResult {
  const Record& record;
  const TokenSequence& sequence;
  const text::Encoding& encoding;  ///< kept for outputs with a row per token; else empty, as of ids
  TensorView<const float> output;  ///< the encoder's first: (T, width) or (1, width)
};
using RecordSink = std::function<void(const RecordResult& result)>;
/// How many records are done, and which fraction of the input: negative where that is unknown.
using StreamProgress = std::function<void(std::size_t done, double fraction)>;

/// Runs `encoder` over all records of `reader`, window by window, so that the input may be larger
/// than memory. `sink` gets the results in the order of the input; `end_of_window` is called when
/// it has those of a window. Errors: of a record, naming the line; the windows before are out then,
/// and nothing of its own.
void run_records(RecordReader& reader, const Preparer& preparer, TextEncoder& encoder,
                 const RecordSink& sink, const std::function<void()>& end_of_window,
                 const StreamProgress& progress);

}  // namespace tessera
