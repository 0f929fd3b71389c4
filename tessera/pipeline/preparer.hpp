// SPDX-License-Identifier: Apache-2.0
// From records to the sequences that a model reads.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/records.hpp"

namespace tessera {

/// A record as the model reads it; `encoding` is empty for records of ids.
struct Prepared {
  TokenSequence sequence;
  text::Encoding encoding;
};

/// Appends what the model reads of a record: one sequence or more. Throws Error{invalid_argument} naming the
/// line.
using Prepare = std::function<void(const Record& record, std::vector<Prepared>& parts)>;

class Preparer {
 public:
  /// `package` must outlive it. Errors: as TextInputs(); of ids it is not asked.
  Preparer(const models::Package& package, LineFormat format, const TextOptions& options);

  LineFormat format() const noexcept { return format_; }
  /// Throws Error{invalid_argument} naming the line. Ids are not looked at: that is for
  /// check_sequences() and TextEncoder::run().
  Prepared prepare(const Record& record) const;
  /// prepare() of the object, which must outlive it.
  Prepare function() const {
    return [this](const Record& record, std::vector<Prepared>& parts) {
      parts.push_back(prepare(record));
    };
  }
  /// Null for ids.
  const TextInputs* texts() const noexcept { return texts_.get(); }

 private:
  const models::Package& package_;
  LineFormat format_;
  std::unique_ptr<const TextInputs> texts_;
};

}  // namespace tessera
