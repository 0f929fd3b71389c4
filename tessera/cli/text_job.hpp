// SPDX-License-Identifier: Apache-2.0
// Texts of the commands that take them: messages about lines, progress, the closing line.
#pragma once

#include <string>

#include "tessera/cli/progress.hpp"
#include "tessera/pipeline/record_runner.hpp"

namespace tessera::cli {

/// What a command says on stderr while it runs over records.
struct TextJob {
  std::string command;       ///< "embed"
  std::string label;         ///< of the progress: "embedding"
  bool shows_stats = false;  ///< the closing line, also where stderr is no terminal
};

/// run_records() that tells of lines without a result, draws the progress, and ends with the closing
/// line and a word about texts that were cut. `texts`: what cuts them; null for ids. `sinks`: result
/// and end_of_window.
RecordCounts run_texts(const TextJob& job, RecordStream& stream, const Prepare& prepare,
                       const TextInputs* texts, TextEncoder& encoder, RecordSinks sinks,
                       const RecordCounts& before = {});

/// Throws Error{invalid_argument} after the results are out, so that the exit status says it.
void require_all(const RecordCounts& counts);

/// `line`, a JSON object, with `id` as its first member, and "cut": true where the text was cut; `id`:
/// JSON, or empty for none.
std::string with_id(std::string line, const std::string& id, bool is_cut);

}  // namespace tessera::cli
