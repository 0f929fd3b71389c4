// SPDX-License-Identifier: Apache-2.0
// The names of poolings: those of sentence-transformers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.hpp"
#include "runtime/program/program.hpp"

namespace tessera::models {

/// "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken".
const char* mode_name(Pooling pooling) noexcept;
std::optional<Pooling> pooling_from_name(std::string_view mode) noexcept;
/// All of them, in the order in which the reference concatenates.
std::vector<std::string> pooling_modes();

/// The pooling modes of a 1_Pooling/config.json, in the order of concatenation.
std::vector<Pooling> read_pooling_modes(const Config& config);

}  // namespace tessera::models
