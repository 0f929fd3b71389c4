// SPDX-License-Identifier: Apache-2.0
// What a command line says about its outputs before anything is read: where they go, in which
// format.
#pragma once

#include <string>
#include <vector>

namespace tessera::cli {

/// An output of a command: the flag that names it, and its path ("-": stdout; empty: not given).
struct NamedOutput {
  const char* flag;
  std::string path;
};

/// Throws UsageError, naming both, if an output is one of the files `inputs`, a file of the model, or
/// another output, through whatever links. Directories of images: their listed files. Throws Error
/// as models::find_model().
void require_distinct(const std::vector<NamedOutput>& outputs,
                      const std::vector<std::string>& inputs, const std::string& model);

/// The files of a model's directory that a model is read from.
std::vector<std::string> model_files(const std::string& directory);

/// The format of an output: as asked for (`format` is not empty), else as the name of the file says:
/// .npy npy; .jsonl, .ndjson jsonl; .txt text, and .tsv where text has tabs; else `otherwise`. Throws UsageError for a name
/// whose format is none of `formats`.
std::string format_by_name(const std::string& format, const std::string& output,
                           const std::vector<std::string>& formats, const char* otherwise);

}  // namespace tessera::cli
