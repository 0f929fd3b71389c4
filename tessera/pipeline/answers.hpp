// SPDX-License-Identifier: Apache-2.0
// What a search and a comparison found, as lines for people or as JSON lines.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tessera/pipeline/search_index.hpp"
#include "tessera/pipeline/text_ranker.hpp"

namespace tessera {

std::string hits_text(const std::string& query, const std::vector<Hit>& hits,
                      const std::vector<Entry>& entries);
std::string hits_json(const std::string& query, const std::vector<Hit>& hits,
                      const std::vector<Entry>& entries);

/// One line of at most `most` characters: what a terminal would act on becomes a blank.
std::string one_line(const std::string& text, std::size_t most);

/// The same of a ranking; scores of a reranker have their logits beside them in JSON.
std::string ranks_text(const std::string& query, const std::vector<RankedText>& ranks,
                       const std::vector<Entry>& entries);
std::string ranks_json(const std::string& query, const std::vector<RankedText>& ranks,
                       const std::vector<Entry>& entries);

/// How well each text fits the image at `path`, the best first: path, text, logit, probability.
std::string fits_text(const std::string& path, std::span<const std::string> texts,
                      std::span<const float> logits, const models::Similarity& similarity);
std::string fits_json(const std::string& path, std::span<const std::string> texts,
                      std::span<const float> logits, const models::Similarity& similarity);

}  // namespace tessera
