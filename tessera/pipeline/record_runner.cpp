// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/record_runner.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "tessera/pipeline/about.hpp"

namespace tessera {
namespace {

// Records of a window: the first results come soon, later windows fill batches well.
constexpr std::size_t kFirstWindow = 64, kWindow = 4096, kGrowth = 4;

/// Fraction of the input that is done: `done` of `total` records of the window that ends where
/// `stream` is now and began at byte `window_begin`.
double fraction_done(const RecordStream& stream, std::uint64_t window_begin, std::size_t done,
                     std::size_t total) noexcept {
  if (stream.size_bytes() == 0) return -1.0;
  const auto begin = static_cast<double>(window_begin);
  const double window = static_cast<double>(stream.bytes_read()) - begin;
  const double part = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  return (begin + window * part) / static_cast<double>(stream.size_bytes());
}

class Runner {
 public:
  Runner(RecordStream& stream, const Preparer& preparer, TextEncoder& encoder,
         const RecordSinks& sinks)
      : stream_(stream),
        preparer_(preparer),
        encoder_(encoder),
        sinks_(sinks),
        check_(encoder.package().program),
        is_per_token_(encoder.is_per_token()) {}

  void skip(const RecordCounts& before);
  RecordCounts run();

 private:
  void read_window(std::size_t limit);
  void append(Record record);
  void fail(const Error& error);
  void compute();
  void emit() const;

  RecordStream& stream_;
  const Preparer& preparer_;
  TextEncoder& encoder_;
  const RecordSinks& sinks_;
  const SequenceCheck check_;
  const bool is_per_token_;
  RecordCounts counts_;
  bool at_end_ = false;
  std::exception_ptr ended_by_;
  std::uint64_t window_begin_ = 0;  // in bytes
  std::size_t done_ = 0;            // results of the windows before
  // Of one window.
  std::vector<Record> records_;
  std::vector<TokenSequence> sequences_;
  std::vector<text::Encoding> encodings_;
  std::vector<bool> cut_;
  std::vector<Index> first_;  // row of each record in rows_
  std::vector<float> rows_;   // (rows of the window, width)
};

void Runner::skip(const RecordCounts& before) {
  Record record;
  while (counts_.read < before.read) {
    ++counts_.read;
    try {
      if (stream_.read(record, true) == ReadState::end) return;
    } catch (const BadRecord&) {
      // It has been told.
    }
  }
  counts_ = before;
  done_ = before.read - before.failed;
}

// Up to `limit` records, or as many as are there: one at least, unless the input ends.
void Runner::read_window(std::size_t limit) {
  window_begin_ = stream_.bytes_read();
  records_.clear();
  sequences_.clear();
  encodings_.clear();
  cut_.clear();
  first_.assign(1, 0);
  while (records_.size() < limit) {
    Record record;
    try {
      const ReadState state = stream_.read(record, records_.empty());
      at_end_ = state == ReadState::end;
      if (state != ReadState::record) return;
    } catch (const BadRecord& error) {
      ++counts_.read;
      fail(error);
      continue;
    } catch (const Error&) {  // ends the input, behind what was read
      ended_by_ = std::current_exception();
      at_end_ = true;
      return;
    }
    ++counts_.read;
    try {
      append(std::move(record));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_argument) throw;
      fail(error);
    }
  }
}

void Runner::append(Record record) {
  Prepared prepared = preparer_.prepare(record);
  about(record.where, [&] { check_(prepared.sequence); });
  first_.push_back(first_.back() + (is_per_token_ ? prepared.sequence.size() : 1));
  sequences_.push_back(std::move(prepared.sequence));
  cut_.push_back(prepared.encoding.is_cut);
  if (prepared.encoding.is_cut) ++counts_.cut;
  encodings_.emplace_back();
  if (is_per_token_) encodings_.back() = std::move(prepared.encoding);
  records_.push_back(std::move(record));
}

void Runner::fail(const Error& error) {
  ++counts_.failed;
  sinks_.failed(error);
}

void Runner::compute() {
  const Index width = encoder_.width();
  rows_.resize(static_cast<std::size_t>(first_.back() * width));
  encoder_.run(
      sequences_,
      [&](std::size_t s, Results results) {
        for (Index r = 0; r < results[0].rows; ++r) {
          const std::span<const float> row = results[0].row(r);
          std::copy(row.begin(), row.end(), rows_.begin() + (first_[s] + r) * width);
        }
      },
      [&](std::size_t done, std::size_t total) {
        sinks_.progress(done_ + done, fraction_done(stream_, window_begin_, done, total));
      });
}

void Runner::emit() const {
  const Index width = encoder_.width();
  for (std::size_t s = 0; s < records_.size(); ++s) {
    sinks_.result({.record = records_[s],
                   .sequence = sequences_[s],
                   .encoding = encodings_[s],
                   .is_cut = cut_[s],
                   .output = {.data = rows_.data() + first_[s] * width,
                              .rows = first_[s + 1] - first_[s],
                              .cols = width,
                              .stride = width}});
  }
}

RecordCounts Runner::run() {
  for (std::size_t limit = kFirstWindow; !at_end_; limit = std::min(kWindow, kGrowth * limit)) {
    read_window(limit);
    compute();
    emit();
    done_ += records_.size();
    sinks_.end_of_window(counts_);
  }
  if (ended_by_) std::rethrow_exception(ended_by_);
  return counts_;
}

}  // namespace

RecordCounts run_records(RecordStream& stream, const Preparer& preparer, TextEncoder& encoder,
                         const RecordSinks& sinks, const RecordCounts& before) {
  Runner runner(stream, preparer, encoder, sinks);
  runner.skip(before);
  return runner.run();
}

}  // namespace tessera
