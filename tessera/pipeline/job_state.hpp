// SPDX-License-Identifier: Apache-2.0
// What an interrupted job leaves beside its partial output, so that another process can go on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tessera/pipeline/record_runner.hpp"

namespace tessera {

/// What the results of a job depend on, by name.
using JobFacts = std::map<std::string, std::string>;

struct JobState {
  JobFacts facts;
  RecordCounts counts;         ///< of the windows whose results are written
  std::uint64_t bytes = 0;     ///< of the output, up to there
  std::uint64_t checksum = 0;  ///< OutputFile::checksum() of them
};

/// Removes what save_job() leaves beside the file when the process is killed in it: files of this user by the
/// names that mkstemp() makes. Precondition: nobody else saves the same job, and the file is a job's or none.
void remove_unsaved(const std::string& path);

/// Replaces the file in one step. Throws Error as OutputFile does.
void save_job(const std::string& path, const JobState& state);

/// nullopt if there is no such file. Throws Error{corrupt_file} naming got and expected.
std::optional<JobState> load_job(const std::string& path);

/// The first difference, as "--max-length: got 32, expected 16"; empty if there is none.
std::string difference(const JobFacts& got, const JobFacts& expected);

}  // namespace tessera
