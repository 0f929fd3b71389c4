// SPDX-License-Identifier: Apache-2.0
// The records of several files, one file after another.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tessera/pipeline/records.hpp"

namespace tessera {

struct RecordInput {
  std::string path;  ///< "-": stdin
  RecordOptions options = {};
};

class RecordStream {
 public:
  /// Precondition: at least one input. Throws Error as ByteSource() for each that cannot be read.
  explicit RecordStream(std::vector<RecordInput> inputs);

  /// As RecordReader::read(); the end is that of the last input.
  ReadState read(Record& record, bool may_wait);

  std::uint64_t bytes_read() const noexcept {
    return bytes_before_ + reader_->lines().bytes_read();
  }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }  ///< 0 if unknown (a pipe)

 private:
  std::vector<RecordInput> inputs_;
  std::size_t current_ = 0;
  std::unique_ptr<RecordReader> reader_;  // of inputs_[current_]
  std::uint64_t bytes_before_ = 0, size_bytes_ = 0;
};

}  // namespace tessera
