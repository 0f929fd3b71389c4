// SPDX-License-Identifier: Apache-2.0
// Where a pattern matches in a word, and the stretches between.
#pragma once

#include <string>
#include <vector>

#include "models/text/aligned_text.hpp"
#include "models/text/regex.hpp"

namespace tessera::text {

/// A stretch of a word; empty where a pattern matched nothing.
struct Piece {
  WordRange range;
  bool is_match;
};

/// The search of one caller for one regular expression.
class PatternFinder {
 public:
  explicit PatternFinder(const Regex& regex) : search_(regex) {}

  /// Replaces `pieces` by those of chars[word], which is all that the pattern sees.
  void find(const std::vector<AlignedChar>& chars, WordRange word, std::vector<Piece>& pieces);

 private:
  RegexSearch search_;
  std::string utf8_;
};

}  // namespace tessera::text
