// SPDX-License-Identifier: Apache-2.0
// From records to sequences, with the line in every message.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "tessera/cli/input.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/pipeline/encoder.hpp"

namespace tessera::cli {

/// A record as the model reads it; `encoding` is empty for records of ids.
struct Prepared {
  TokenSequence sequence;
  text::Encoding encoding;
};

/// Reads records and prepares them for one model.
class Preparer {
 public:
  /// `package` must outlive it. Throws UsageError, Error.
  Preparer(const models::Package& package, const InputFlags& input, const TextFlags& text);

  LineFormat format() const noexcept { return format_; }
  /// Throws Error{invalid_argument} naming the line.
  Prepared prepare(const Record& record) const;
  std::vector<TokenSequence> prepare_all(std::span<const Record> records) const;
  /// Null for ids.
  const TextInputs* texts() const noexcept { return texts_.get(); }

 private:
  const TokenSpec& spec_;
  LineFormat format_;
  std::unique_ptr<const TextInputs> texts_;
};

/// Fraction of the input that is done: `done` of `total` records of the window that ends where
/// `lines` is now and began at byte `window_begin`. Negative where the size is unknown.
double fraction_done(const LineReader& lines, std::uint64_t window_begin, std::size_t done,
                     std::size_t total) noexcept;

}  // namespace tessera::cli
