// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/record_stream.hpp"

#include <filesystem>
#include <system_error>
#include <utility>

namespace tessera {
namespace {

std::unique_ptr<RecordReader> open(const RecordInput& input) {
  return std::make_unique<RecordReader>(input.path, input.options);
}

}  // namespace

RecordStream::RecordStream(std::vector<RecordInput> inputs) : inputs_(std::move(inputs)) {
  for (const RecordInput& input : inputs_) check_readable(input.path);
  reader_ = open(inputs_.front());
  size_bytes_ = reader_->lines().size_bytes();
  for (std::size_t i = 1; i < inputs_.size() && size_bytes_ != 0; ++i) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(inputs_[i].path, error);
    size_bytes_ = error ? 0 : size_bytes_ + size;
  }
}

ReadState RecordStream::read(Record& record, bool may_wait) {
  while (true) {
    const ReadState state = reader_->read(record, may_wait);
    if (state != ReadState::end || current_ + 1 == inputs_.size()) return state;
    bytes_before_ += reader_->lines().bytes_read();
    reader_ = open(inputs_[++current_]);
  }
}

}  // namespace tessera
