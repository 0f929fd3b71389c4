// SPDX-License-Identifier: Apache-2.0
// The files of a checkpoint directory beside its weights, copied.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "runtime/weights/checkpoint.hpp"

namespace tessera {

/// The files of `directory` that hold the weights of `own`, its checkpoint, or say where they are: those
/// that were opened, and the same weights by the other names that transformers knows.
std::vector<std::filesystem::path> files_of_weights(const std::filesystem::path& directory,
                                                    const Checkpoint& own);

/// Copies `from`, links followed, to `to`, but for `written` and files of weights in formats that are not
/// read (ONNX, TensorFlow, Flax, ...); no hidden folders (.git, .cache). Returns the names of what was
/// left out, sorted, below `from`.
/// Precondition: `from` is canonical. Throws Error{io_error} naming what cannot be copied: a link that
/// leads nowhere, or around; what is neither file nor folder.
std::vector<std::string> copy_other_files(const std::filesystem::path& from,
                                          const std::filesystem::path& to,
                                          std::span<const std::filesystem::path> written);

}  // namespace tessera
