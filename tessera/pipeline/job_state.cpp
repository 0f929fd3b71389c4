// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/job_state.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/json.hpp"
#include "tessera/pipeline/json_text.hpp"
#include "tessera/pipeline/output_file.hpp"

namespace tessera {
namespace {

std::string value_or_nothing(const JobFacts& facts, const std::string& name) {
  const auto found = facts.find(name);
  return found == facts.end() ? "nothing" : found->second;
}

}  // namespace

namespace {

/// What stands for XXXXXX.
bool is_made_name(const std::string& letters) {
  return letters.size() == 6 && std::all_of(letters.begin(), letters.end(),
                                            [](unsigned char c) { return std::isalnum(c) != 0; });
}

}  // namespace

void remove_unsaved(const std::string& path) {
  namespace fs = std::filesystem;
  const fs::path file(path);
  const std::string begin = file.filename().string() + ".tmp";  // of OutputFile
  std::error_code error;
  std::vector<fs::path> left;
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    struct stat status {};
    if (name.starts_with(begin) && is_made_name(name.substr(begin.size())) &&
        ::lstat(at->path().c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_uid == ::geteuid()) {
      left.push_back(at->path());
    }
  }
  for (const fs::path& each : left) fs::remove(each, error);
}

void save_job(const std::string& path, const JobState& state) {
  std::string json = "{\"job\": {";
  bool is_first = true;
  for (const auto& [name, value] : state.facts) {
    json += is_first ? "\n  " : ",\n  ";
    append_json_string(json, name);
    json += ": ";
    append_json_string(json, value);
    is_first = false;
  }
  json += fmt::format(
      "}},\n\"read\": {}, \"failed\": {}, \"cut\": {}, \"bytes\": {}, \"checksum\": {}}}\n",
      state.counts.read, state.counts.failed, state.counts.cut, state.bytes, state.checksum);
  OutputFile out(path);
  out.write(json);
  out.finish();
}

std::optional<JobState> load_job(const std::string& path) {
  if (!path_exists(path)) return std::nullopt;
  json::Object root, job;
  JobState state;
  std::uint64_t read = 0, failed = 0, cut = 0;
  const json::Tree tree = json::Tree::parse(read_file(path));
  const bool is_good = tree.root().get(root) && root.get("job", job) && root.get("read", read) &&
                       root.get("failed", failed) && root.get("cut", cut) &&
                       root.get("bytes", state.bytes) && root.get("checksum", state.checksum);
  if (is_good) {
    for (const auto field : job) {
      std::string_view value;
      if (!field.value.get(value)) continue;  // differs from any fact
      state.facts.emplace(field.key, value);
    }
  }
  if (!is_good || failed > read) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: got something else, expected the state of a job that --resume "
                            "wrote; without the file the job begins anew",
                            path));
  }
  state.counts = {.read = read, .failed = failed, .cut = cut};
  return state;
}

std::string difference(const JobFacts& got, const JobFacts& expected) {
  JobFacts names = got;
  names.insert(expected.begin(), expected.end());
  for (const auto& [name, ignored] : names) {
    const std::string mine = value_or_nothing(got, name), its = value_or_nothing(expected, name);
    if (mine != its) return fmt::format("{}: got {}, expected {}", name, mine, its);
  }
  return {};
}

}  // namespace tessera
