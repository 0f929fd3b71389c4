// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/text_job.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "runtime/base/error.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/say.hpp"

namespace tessera::cli {

RecordCounts run_texts(const TextJob& job, RecordStream& stream, const Prepare& prepare,
                       const TextInputs* texts, TextEncoder& encoder, RecordSinks sinks,
                       const RecordCounts& before) {
  Progress progress(job.label);
  sinks.failed = [&](const Error& error) {
    progress.clear();
    say("tessera {}: {}\n", job.command, error.what());
  };
  sinks.progress = [&](std::size_t done, double fraction) { progress.update(done, fraction); };
  const RecordCounts counts = run_records(stream, prepare, encoder, sinks, before);
  const std::size_t done = (counts.read - counts.failed) - (before.read - before.failed);
  progress.close("tessera " + job.command, done, "text", job.shows_stats);
  if (texts != nullptr) {
    say_what_was_cut(job.command, *texts, counts.cut, counts.read - counts.failed);
  }
  return counts;
}

void require_all(const RecordCounts& counts) {
  if (counts.failed == 0) return;
  throw Error(
      ErrorCode::invalid_argument,
      fmt::format("{} of {} lines gave no result, expected all", counts.failed, counts.read));
}

std::string with_id(std::string line, const std::string& id, bool is_cut) {
  if (is_cut && line.starts_with('{')) line.insert(1, "\"cut\": true, ");
  if (!id.empty() && line.starts_with('{')) line.insert(1, fmt::format("\"id\": {}, ", id));
  return line;
}

}  // namespace tessera::cli
