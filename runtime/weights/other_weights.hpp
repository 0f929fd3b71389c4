// SPDX-License-Identifier: Apache-2.0
// Weights that a directory has in forms that are not read.
#pragma once

#include <filesystem>
#include <string>

namespace tessera {

/// "; model.onnx is an ONNX model: …" for each that is there; empty for none.
std::string other_weights(const std::filesystem::path& directory);

}  // namespace tessera
