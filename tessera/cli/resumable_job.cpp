// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/resumable_job.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "kernels/isa.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/output_checks.hpp"

#ifndef TESSERA_VERSION
#define TESSERA_VERSION "unknown"
#endif

namespace tessera::cli {
namespace {

// What changes no bit of the results; and what the facts have by other names.
constexpr std::array kNotAsked{"--threads",      "--batch-tokens", "--resume", "--stats",
                               "--packed-cache", "--memory-cap",   "--output", "--format",
                               "--precision",    "--isa",          "MODEL",    "FILE",
                               "--help"};

std::string size_and_time(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "nothing";
  return fmt::format("{} bytes of {}.{:09}", status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

}  // namespace

JobFacts facts_of(const CLI::App& command, const InputFlags& input, const Encoder& encoder,
                  const std::string& format, const std::vector<std::string>& others) {
  JobFacts facts;
  for (const std::string& file : others) facts[file] = size_and_time(file);
  facts["version"] = TESSERA_VERSION;
  facts["format"] = format;
  facts["instruction set"] = to_string(encoder.model().isa());
  facts["precision"] = option_name(encoder.precision().precision);
  const std::string model = encoder.package().directory.string();
  for (const std::string& file : model_files(model)) {
    const auto name = std::filesystem::path(file).lexically_relative(model);
    facts["model's " + name.string()] = size_and_time(file);
  }
  for (std::size_t i = 0; i < input.files.size(); ++i) {
    facts[fmt::format("input {}", i + 1)] =
        fmt::format("{}, {}", input.files[i], size_and_time(input.files[i]));
  }
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_name();
    if (option->count() == 0) continue;
    if (std::find(kNotAsked.begin(), kNotAsked.end(), name) != kNotAsked.end()) continue;
    facts[name] = fmt::format("{}", fmt::join(option->results(), " "));
  }
  return facts;
}

void require_resumable(const InputFlags& input, const std::string& output) {
  if (output == "-") throw UsageError("--resume: got no -o FILE, expected one to go on with");
  for (const std::string& path : input.paths()) {
    std::error_code error;
    if (path != "-" &&
        (std::filesystem::is_regular_file(path, error) || !std::filesystem::exists(path, error))) {
      continue;
    }
    throw UsageError(fmt::format("--resume: got {}, expected files that can be read again",
                                 path == "-" ? "standard input" : path));
  }
}

ResumableJob::ResumableJob(const std::string& output, JobFacts facts)
    : out_(OutputFile::open_partial(output)),
      state_path_(out_->partial_path() + ".json"),
      facts_(std::move(facts)) {
  const std::uint64_t found = out_->partial_bytes();
  // A state without what it is of is left over from a job that ended: this one begins anew. What is
  // no state is somebody's file.
  std::optional<JobState> state = load_job(state_path_);
  if (found == 0) state.reset();
  if (state) {
    const std::string differs = difference(facts_, state->facts);
    if (!differs.empty()) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{}: of another job: {}; without the file the job begins anew",
                              state_path_, differs));
    }
    before_ = state->counts;
    bytes_before_ = state->bytes;
  }
  if (found < bytes_before_ || (!state && found > 0)) {
    throw Error(
        ErrorCode::corrupt_file,
        fmt::format("{}: got {} bytes, expected {} by {}; without both files the job "
                    "begins anew",
                    out_->partial_path(), found,
                    state ? fmt::format("at least {}", bytes_before_) : "none", state_path_));
  }
  checksum_ = out_->checksum(0, bytes_before_, kFnvSeed);
  summed_ = bytes_before_;
  if (state && checksum_ != state->checksum) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: got other bytes than those that were written, expected the "
                            "checksum {:016x} of the first {}; without both files the job begins "
                            "anew",
                            out_->partial_path(), state->checksum, bytes_before_));
  }
  out_->keep(bytes_before_);
  remove_unsaved(state_path_);
  if (!state)
    save_job(state_path_, {.facts = facts_, .counts = {}, .bytes = 0, .checksum = kFnvSeed});
}

std::array<std::string, 2> ResumableJob::files_of(const std::string& output) {
  const std::string partial = OutputFile::partial_of(output);
  return {partial, partial + ".json"};
}

std::optional<std::size_t> ResumableJob::rows_before() const noexcept {
  if (bytes_before_ == 0) return std::nullopt;
  return before_.read - before_.failed;
}

void ResumableJob::save(const RecordCounts& counts) {
  const std::uint64_t bytes = out_->sync();
  checksum_ = out_->checksum(summed_, bytes, checksum_);
  summed_ = bytes;
  save_job(state_path_, {.facts = facts_, .counts = counts, .bytes = bytes, .checksum = checksum_});
}

void ResumableJob::finish() {
  out_->finish();
  std::error_code ignored;
  std::filesystem::remove(state_path_, ignored);
}

}  // namespace tessera::cli
