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
  Runner(RecordStream& stream, const Prepare& prepare, TextEncoder& encoder,
         const RecordSinks& sinks)
      : stream_(stream), prepare_(prepare), encoder_(encoder), sinks_(sinks), check_(encoder) {
    for (std::size_t o = 0; o < encoder.options().session.outputs.size(); ++o) {
      outputs_.push_back({.width = encoder.width(o), .is_per_token = encoder.is_per_token(o)});
      keeps_encodings_ = keeps_encodings_ || outputs_.back().is_per_token;
    }
  }

  void skip(const RecordCounts& before);
  RecordCounts run();

 private:
  // An output, and its rows of one window.
  struct Output {
    Index width;
    bool is_per_token;
    std::vector<Index> first = {};  // row of each sequence in rows
    std::vector<float> rows = {};   // (rows of the window, width)
  };

  void read_window(std::size_t limit);
  void append(Record record);
  void fail(const Error& error);
  void compute();
  void emit() const;

  RecordStream& stream_;
  const Prepare& prepare_;
  TextEncoder& encoder_;
  const RecordSinks& sinks_;
  const TextCheck check_;
  std::vector<Output> outputs_;
  bool keeps_encodings_ = false;
  RecordCounts counts_;
  bool at_end_ = false;
  std::exception_ptr ended_by_;
  std::uint64_t window_begin_ = 0;  // in bytes
  std::size_t done_ = 0;            // results of the windows before
  std::vector<Prepared> parts_;     // of one record
  // Of one window.
  std::vector<Record> records_;
  std::vector<bool> cut_;
  std::vector<std::size_t> begin_;  // sequences of each record
  std::vector<TokenSequence> sequences_;
  std::vector<text::Encoding> encodings_;
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
  begin_.assign(1, 0);
  for (Output& output : outputs_) output.first.assign(1, 0);
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
  parts_.clear();
  prepare_(record, parts_);
  bool is_cut = false;
  for (const Prepared& part : parts_) {
    about(record.where, [&] { check_(part.sequence); });
    is_cut = is_cut || part.encoding.is_cut;
  }
  for (Prepared& part : parts_) {
    for (Output& output : outputs_) {
      output.first.push_back(output.first.back() +
                             (output.is_per_token ? part.sequence.size() : 1));
    }
    sequences_.push_back(std::move(part.sequence));
    encodings_.emplace_back();
    if (keeps_encodings_) encodings_.back() = std::move(part.encoding);
  }
  begin_.push_back(sequences_.size());
  cut_.push_back(is_cut);
  if (is_cut) ++counts_.cut;
  records_.push_back(std::move(record));
}

void Runner::fail(const Error& error) {
  ++counts_.failed;
  sinks_.failed(error);
}

void Runner::compute() {
  for (Output& output : outputs_) {
    output.rows.resize(static_cast<std::size_t>(output.first.back() * output.width));
  }
  encoder_.run(
      sequences_,
      [&](std::size_t s, Results results) {
        for (std::size_t o = 0; o < outputs_.size(); ++o) {
          Output& output = outputs_[o];
          for (Index r = 0; r < results[o].rows; ++r) {
            const std::span<const float> row = results[o].row(r);
            std::copy(row.begin(), row.end(),
                      output.rows.begin() + (output.first[s] + r) * output.width);
          }
        }
      },
      [&](std::size_t done, std::size_t total) {
        const std::size_t records = total == 0 ? 0 : records_.size() * done / total;
        sinks_.progress(done_ + records, fraction_done(stream_, window_begin_, done, total));
      });
}

void Runner::emit() const {
  std::vector<TensorView<const float>> views(sequences_.size() * outputs_.size());
  std::vector<RecordPart> parts;
  for (std::size_t s = 0; s < sequences_.size(); ++s) {
    const std::span<TensorView<const float>> of =
        std::span(views).subspan(s * outputs_.size(), outputs_.size());
    for (std::size_t o = 0; o < outputs_.size(); ++o) {
      const Output& output = outputs_[o];
      of[o] = {.data = output.rows.data() + output.first[s] * output.width,
               .rows = output.first[s + 1] - output.first[s],
               .cols = output.width,
               .stride = output.width};
    }
    parts.push_back({.sequence = sequences_[s], .encoding = encodings_[s], .outputs = of});
  }
  for (std::size_t i = 0; i < records_.size(); ++i) {
    sinks_.result({.record = records_[i],
                   .parts = std::span(parts).subspan(begin_[i], begin_[i + 1] - begin_[i]),
                   .is_cut = cut_[i]});
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

RecordCounts run_records(RecordStream& stream, const Prepare& prepare, TextEncoder& encoder,
                         const RecordSinks& sinks, const RecordCounts& before) {
  Runner runner(stream, prepare, encoder, sinks);
  runner.skip(before);
  return runner.run();
}

}  // namespace tessera
