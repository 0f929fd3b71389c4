// SPDX-License-Identifier: Apache-2.0
// Whether two names are one file.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tessera {

/// Which of `inputs` the output `path` is: the same regular file through whatever names and links.
/// "-" is standard output, and standard input among the inputs. An output that does not exist yet is none of them. Returns the input as a message calls
/// it.
std::optional<std::string> find_same_file(const std::string& path,
                                          std::span<const std::string> inputs);

/// Whether both will be the same file, which need not exist yet.
bool is_same_target(const std::string& a, const std::string& b);

}  // namespace tessera
