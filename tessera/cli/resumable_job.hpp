// SPDX-License-Identifier: Apache-2.0
// --resume: a long job that was interrupted goes on where it stopped.
//
//   FILE.partial         the results so far; becomes FILE at the end
//   FILE.partial.json    which job it is, and how far: after each window, when its results are on
//                        the disk
//
// A job that goes on writes what it would have written without the interruption, byte for byte.
#pragma once

#include <CLI/App.hpp>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/fnv.hpp"
#include "tessera/cli/input_flags.hpp"
#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/job_state.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {

/// What the results of `command` depend on: options that were given, the model's files and the
/// inputs by size and time, instruction set and precision. `format`: of the output; `others`: files that
/// are read beside them.
JobFacts facts_of(const CLI::App& command, const InputFlags& input, const Encoder& encoder,
                  const std::string& format, const std::vector<std::string>& others = {});

/// Throws UsageError unless `output` is a file and all inputs are files that can be read twice.
void require_resumable(const InputFlags& input, const std::string& output);

class ResumableJob {
 public:
  /// Throws Error: invalid_argument if what is there belongs to another job, saying what differs;
  /// corrupt_file if it is no state of a job, or the output is not as it was left.
  ResumableJob(const std::string& output, JobFacts facts);

  /// The files that a job for `output` keeps beside it.
  static std::array<std::string, 2> files_of(const std::string& output);

  OutputFile& out() noexcept { return *out_; }
  /// What earlier processes did.
  const RecordCounts& before() const noexcept { return before_; }
  /// Rows that the output has already; nullopt if it is empty.
  std::optional<std::size_t> rows_before() const noexcept;

  /// All results of `counts` have been written to out().
  void save(const RecordCounts& counts);
  /// Gives the output its name.
  void finish();

 private:
  std::unique_ptr<OutputFile> out_;
  std::string state_path_;
  JobFacts facts_;
  RecordCounts before_;
  std::uint64_t bytes_before_ = 0;
  std::uint64_t summed_ = 0, checksum_ = kFnvSeed;  // of the bytes before
};

}  // namespace tessera::cli
