// SPDX-License-Identifier: Apache-2.0
// What an interrupted job leaves for --resume: any bytes give a state or an Error.
#include <span>

#include "runtime/base/files.hpp"
#include "tessera/pipeline/job_state.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {

void run(std::string_view input) {
  const MemoryFiles files({{"out.job", std::as_bytes(std::span(input))}});
  const std::optional<JobState> state = load_job(files.directory() / "out.job");
  require(state.has_value(), "a file that is there has a state");
  require(state->counts.failed <= state->counts.read, "no more fail than are read");
  const JobFacts now{{"model", "m"}, {"--max-length", "16"}};
  require(difference(state->facts, now).empty() == (state->facts == now), "a difference is seen");
}

Seeds seeds() {
  return {{"job", R"({"job": {
  "--max-length": "16",
  "model": "m"},
"read": 12, "failed": 1, "cut": 2, "bytes": 4096, "checksum": 18446744073709551615}
)"}};
}

}  // namespace tessera::fuzz
