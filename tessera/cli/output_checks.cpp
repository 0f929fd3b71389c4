// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/output_checks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "models/hub_cache.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/pipeline/file_ending.hpp"
#include "tessera/pipeline/same_file.hpp"

namespace tessera::cli {
namespace {

namespace fs = std::filesystem;

// Users keep their own files in a model's directory too.
bool may_be_of_a_model(const fs::path& file) {
  constexpr std::array kEndings{".json", ".safetensors", ".model", ".bin", ".pt",
                                ".pth",  ".ckpt",        ".gguf",  ".onnx"};
  const std::string name = file.filename().string();
  return name == "vocab.txt" || name == "merges.txt" ||
         std::any_of(kEndings.begin(), kEndings.end(),
                     [&](const char* ending) { return name.ends_with(ending); });
}

std::string called(const NamedOutput& output) {
  return output.path == "-" ? "standard output" : fmt::format("{} {}", output.flag, output.path);
}

}  // namespace

std::vector<std::string> model_files(const std::string& directory) {
  constexpr int kDepth = 1;  // 1_Pooling/config.json; whoever names "." has other trees there
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator at(directory, fs::directory_options::skip_permission_denied,
                                      error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at.depth() == kDepth) at.disable_recursion_pending();
    if (may_be_of_a_model(at->path())) files.push_back(at->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void require_distinct(const std::vector<NamedOutput>& outputs,
                      const std::vector<std::string>& inputs, const std::string& model) {
  std::vector<std::string> read = model_files(models::find_model(model).string());
  read.insert(read.end(), inputs.begin(), inputs.end());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].path.empty()) continue;
    if (const auto same = find_same_file(outputs[i].path, read)) {
      throw UsageError(
          fmt::format("{}: is the input {}, expected another file", called(outputs[i]), *same));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (outputs[j].path.empty() || !is_same_target(outputs[i].path, outputs[j].path)) continue;
      throw UsageError(fmt::format("{}: is the file of {}, expected another", called(outputs[i]),
                                   called(outputs[j])));
    }
  }
}

std::string format_by_name(const std::string& format, const std::string& output,
                           const std::vector<std::string>& formats, const char* otherwise) {
  if (!format.empty()) return format;
  const auto has = [&](const char* name) {
    return std::find(formats.begin(), formats.end(), name) != formats.end();
  };
  const std::string ending = file_ending(output);
  std::string named = otherwise;
  for (const char* each : {"npy", "npz", "fvecs", "csv"}) {
    if (ending == each) named = ending;
  }
  if (ending == "jsonl" || ending == "ndjson") named = "jsonl";
  if (ending == "txt") named = "text";
  if (ending == "tsv") named = has("npy") ? "tsv" : "text";  // text of vectors has no tabs
  if (has(named.c_str())) return named;
  throw UsageError(fmt::format("-o {}: the name says {}, expected one of {} (or --format)", output,
                               named, fmt::join(formats, ", ")));
}

}  // namespace tessera::cli
