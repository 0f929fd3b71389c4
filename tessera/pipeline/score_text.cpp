// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/score_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tessera {

std::string score_text(double score) {
  constexpr int kDigits = 9, kMost = 17;  // of a float, of a double
  int digits = kDigits;
  if (score > 0.9 && score < 1.0) digits -= static_cast<int>(std::floor(std::log10(1.0 - score)));
  return std::isfinite(score) ? fmt::format("{:.{}g}", score, std::min(digits, kMost)) : "null";
}

std::string probability_text(double score) {
  const bool is_plain = score >= 1e-4 && score <= 1 - 1e-4;
  return is_plain || score < 0.0 || score > 1.0 ? fmt::format("{:.6f}", score) : score_text(score);
}

}  // namespace tessera
