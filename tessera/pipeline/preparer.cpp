// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/preparer.hpp"

#include <utility>

#include "tessera/pipeline/about.hpp"

namespace tessera {
namespace {

constexpr std::size_t kWindow = 4096;  // records

/// Fraction of the input that is done: `done` of `total` records of the window that ends where
/// `lines` is now and began at byte `window_begin`.
double fraction_done(const LineReader& lines, std::uint64_t window_begin, std::size_t done,
                     std::size_t total) noexcept {
  if (lines.size_bytes() == 0) return -1.0;
  const auto begin = static_cast<double>(window_begin);
  const double window = static_cast<double>(lines.bytes_read()) - begin;
  const double part = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  return (begin + window * part) / static_cast<double>(lines.size_bytes());
}

}  // namespace

Preparer::Preparer(const models::Package& package, LineFormat format, const TextOptions& options)
    : package_(package), format_(format) {
  if (format_ != LineFormat::ids) texts_ = std::make_unique<const TextInputs>(package, options);
}

Prepared Preparer::prepare(const Record& record) const {
  Prepared prepared;
  if (!texts_) {
    prepared.sequence.ids = record.ids;
    prepared.sequence.types = record.type_ids;
    return prepared;
  }
  return about(record.where, [&] {
    if (record.pair && package_.task == models::Task::token_classification) {
      throw Error(ErrorCode::invalid_argument,
                  "got a pair, expected one text: the model labels tokens");
    }
    prepared.encoding = texts_->encode(record.text, record.pair);
    prepared.sequence = to_sequence(require_tokens(package_.program), prepared.encoding);
    return std::move(prepared);
  });
}

void run_records(RecordReader& reader, const Preparer& preparer, TextEncoder& encoder,
                 const RecordSink& sink, const std::function<void()>& end_of_window,
                 const StreamProgress& progress) {
  const Index width = encoder.width();
  const bool is_per_token = encoder.is_per_token();
  std::vector<TokenSequence> sequences;
  std::vector<text::Encoding> encodings;
  std::vector<Index> first;  // row of each record in `rows`
  std::vector<float> rows;   // (rows of the window, width)
  std::size_t written = 0;
  while (true) {
    const std::uint64_t window_begin = reader.lines().bytes_read();
    const std::vector<Record> window = reader.next_window(kWindow);
    if (window.empty()) return;
    sequences.clear();
    encodings.assign(window.size(), {});
    first.assign(1, 0);
    for (std::size_t i = 0; i < window.size(); ++i) {
      Prepared prepared = preparer.prepare(window[i]);
      first.push_back(first.back() + (is_per_token ? prepared.sequence.size() : 1));
      sequences.push_back(std::move(prepared.sequence));
      if (is_per_token) encodings[i] = std::move(prepared.encoding);
    }
    rows.resize(static_cast<std::size_t>(first.back() * width));
    about_sequences(
        [&](std::size_t s) { return window[s].where; },
        [&] {
          encoder.run(
              sequences,
              [&](std::size_t s, Results results) {
                for (Index r = 0; r < results[0].rows; ++r) {
                  const std::span<const float> row = results[0].row(r);
                  std::copy(row.begin(), row.end(), rows.begin() + (first[s] + r) * width);
                }
              },
              [&](std::size_t done, std::size_t total) {
                progress(written + done, fraction_done(reader.lines(), window_begin, done, total));
              });
        });
    for (std::size_t s = 0; s < window.size(); ++s) {
      sink({.record = window[s],
            .sequence = sequences[s],
            .encoding = encodings[s],
            .output = {.data = rows.data() + first[s] * width,
                       .rows = first[s + 1] - first[s],
                       .cols = width,
                       .stride = width}});
    }
    written += window.size();
    end_of_window();
  }
}

}  // namespace tessera
