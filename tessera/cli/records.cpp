// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/records.hpp"

#include <utility>

#include "runtime/base/error.hpp"
#include "tessera/cli/failure.hpp"

namespace tessera::cli {
namespace {

LineFormat line_format(const InputFlags& input) {
  if (input.is_ids) return LineFormat::ids;
  if (input.is_pairs) return LineFormat::pairs;
  if (input.is_jsonl) return LineFormat::jsonl;
  return format_of(input.file);
}

}  // namespace

Preparer::Preparer(const models::Package& package, const InputFlags& input, const TextFlags& text)
    : spec_(require_tokens(package.program)), format_(line_format(input)) {
  if (format_ == LineFormat::ids) {
    text.require_none("applies to text, got --ids");
    return;
  }
  try {
    texts_ = std::make_unique<const TextInputs>(package, text.text_options());
  } catch (const Error& e) {
    const std::string message = e.what();
    if (package.tokenizer || message.find("--ids") != std::string::npos) throw;
    throw Error(e.code(), message + "; token ids can be given instead of text: --ids");
  }
}

Prepared Preparer::prepare(const Record& record) const {
  Prepared prepared;
  try {
    if (texts_) {
      prepared.encoding = texts_->encode(record.text, record.pair);
      prepared.sequence = to_sequence(spec_, prepared.encoding);
    } else {
      prepared.sequence.ids = record.ids;
      prepared.sequence.types = record.type_ids;
    }
    check_sequence(spec_, prepared.sequence);
  } catch (const Error& e) {
    throw Error(e.code(), record.where + ": " + e.what());
  }
  return prepared;
}

std::vector<TokenSequence> Preparer::prepare_all(std::span<const Record> records) const {
  std::vector<TokenSequence> sequences;
  sequences.reserve(records.size());
  for (const Record& record : records) sequences.push_back(prepare(record).sequence);
  return sequences;
}

double fraction_done(const LineReader& lines, std::uint64_t window_begin, std::size_t done,
                     std::size_t total) noexcept {
  if (lines.size_bytes() == 0) return -1.0;
  const auto begin = static_cast<double>(window_begin);
  const double window = static_cast<double>(lines.bytes_read()) - begin;
  const double part = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  return (begin + window * part) / static_cast<double>(lines.size_bytes());
}

}  // namespace tessera::cli
