// SPDX-License-Identifier: Apache-2.0
#include "models/text/metaspace.hpp"

namespace tessera::text {

void Metaspace::apply(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
                      std::vector<AlignedChar>& out) const {
  out.clear();
  std::vector<WordRange> split;
  out.reserve(chars.size() + words.size());
  split.reserve(words.size());
  for (const WordRange& word : words) {
    auto begin = static_cast<std::uint32_t>(out.size());
    const AlignedChar first = chars[word.begin];
    const bool begins_with_one = first.c == U' ' || first.c == replacement;
    const bool takes_one =
        prepend == PrependScheme::always || (prepend == PrependScheme::first && first.begin == 0);
    if (takes_one && !begins_with_one) out.push_back({replacement, first.begin, first.end});
    for (std::uint32_t i = word.begin; i < word.end; ++i) {
      const AlignedChar x = chars[i];
      const bool is_space = x.c == U' ' || x.c == replacement;
      const auto here = static_cast<std::uint32_t>(out.size());
      if (is_space && splits && here > begin) {
        split.push_back({begin, here});
        begin = here;
      }
      out.push_back({is_space ? replacement : x.c, x.begin, x.end});
    }
    split.push_back({begin, static_cast<std::uint32_t>(out.size())});
  }
  words.swap(split);
}

}  // namespace tessera::text
