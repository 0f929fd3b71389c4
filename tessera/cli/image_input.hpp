// SPDX-License-Identifier: Apache-2.0
// From the arguments of a command to image files, and the messages about those that give nothing.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/cli/options.hpp"

namespace tessera::cli {

/// One message on stderr, as errors that end a command look.
void report_problem(std::string_view command, std::string_view message);

/// What arguments name: files as they are, directories with all that is in them, in the order of
/// their paths.
struct ImageFiles {
  std::vector<std::filesystem::path> paths;
  std::size_t unreadable = 0;  ///< directories; each has been reported
};

/// Throws UsageError for no arguments or "-"; Error{not_found} if a directory alone was given and
/// nothing is in it. With `flags.skips_others`, a file of a directory that begins like neither JPEG
/// nor PNG is left out, with a note on stderr.
ImageFiles list_images(const std::vector<std::string>& arguments, const ImageFlags& flags,
                       std::string_view command);

/// `--stats`: where the time went, on stderr.
void print_stats(const ImageStats& stats);

/// Throws Error{corrupt_file} after the results are out, so that the exit status says it.
void require_all(std::size_t failed, std::size_t files);

/// Runs `encoder` over the files: messages about failures, progress, statistics. `sink` as in
/// ImageEncoder::run(). Returns how many gave no result.
std::size_t run_images(ImageEncoder& encoder, const ImageFiles& files, const ImageFlags& flags,
                       std::string_view command, const Sink& sink);

}  // namespace tessera::cli
