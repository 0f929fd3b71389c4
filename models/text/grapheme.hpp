// SPDX-License-Identifier: Apache-2.0
// Extended grapheme clusters: what a reader takes for one character (Unicode 17, UAX #29, as the
// crate unicode-segmentation of the reference has it).
#pragma once

#include <cstddef>
#include <vector>

#include "models/text/aligned_text.hpp"

namespace tessera::text {

/// Where the cluster that begins at chars[begin] ends. Precondition: begin < chars.size().
std::size_t grapheme_end(const std::vector<AlignedChar>& chars, std::size_t begin) noexcept;

}  // namespace tessera::text
