// SPDX-License-Identifier: Apache-2.0
// Images of the commands that take them: messages, progress, statistics, the exit status.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tessera/cli/options.hpp"
#include "tessera/pipeline/image_list.hpp"

namespace tessera::cli {

/// What the arguments of a command name; what cannot be read or is left out is said on stderr.
/// Throws UsageError for no arguments or "-"; as list_images().
ImageList list_arguments(const std::vector<std::string>& arguments, const ImageFlags& flags,
                         std::string_view command);

/// Runs `encoder` over the files: messages about failures, progress, statistics. `sink` as in
/// ImageEncoder::run(). Returns how many inputs gave no result.
std::size_t run_images(ImageEncoder& encoder, const ImageList& files, const ImageFlags& flags,
                       std::string_view command, const Sink& sink);

/// Throws Error{corrupt_file} after the results are out, so that the exit status says it.
void require_all(std::size_t failed, const ImageList& files);

}  // namespace tessera::cli
