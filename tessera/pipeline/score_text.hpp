// SPDX-License-Identifier: Apache-2.0
// Scores as text: two that differ are never printed alike because they are close to 0 or 1.
#pragma once

#include <string>

namespace tessera {

/// Nine digits, and near 1 nine digits of what is missing to it; "null" for NaN and infinities.
std::string score_text(double score);
/// For people: six decimals, or score_text() within 1e-4 of 0 and 1.
std::string probability_text(double score);

}  // namespace tessera
