// SPDX-License-Identifier: Apache-2.0
// What timm's config.json says of images: "pretrained_cfg", the evaluation transform of a model.
#pragma once

#include <filesystem>
#include <optional>

#include "models/image/preprocessor.hpp"

namespace tessera::image {

/// Nothing where the directory has no config.json of timm: one with an "architecture" and a "pretrained_cfg".
///
///   resize the shorter side to ⌊size / crop_pct⌋ ─ centre crop of `size` ─ (x / 255 − mean) / std
///
/// Errors    corrupt_file; unsupported_model naming the key (crop_mode, interpolation, sizes that differ)
std::optional<PreprocessorConfig> read_timm_config(const std::filesystem::path& directory);

}  // namespace tessera::image
