// SPDX-License-Identifier: Apache-2.0
// A model by the directories that its weights are in: one, or those of two routes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/package.hpp"

namespace tessera {

/// A transformer's directory and what reads it.
struct ModelPart {
  std::filesystem::path transformer;
  std::vector<models::Package> packages;  ///< one, or both towers, or both routes
  std::vector<std::string> names;  ///< of each: "", "text tower", "image tower", "query route", ...
};

/// Towers have weights of their own, routes of one directory have the same.
bool are_towers(const ModelPart& part);

/// A table of vectors without a transformer, which has no config.json.
bool is_table_alone(const ModelPart& part);

/// `model`: a directory, canonical. Throws as models::open_package(); invalid_argument (the weights are whole
/// numbers already), unsupported_model (a transformer outside of `model`).
std::vector<ModelPart> open_parts(const std::filesystem::path& model);

}  // namespace tessera
