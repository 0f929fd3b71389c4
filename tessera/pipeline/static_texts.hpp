// SPDX-License-Identifier: Apache-2.0
// Texts as model2vec reads them: code points are cut, unknown tokens left out, then tokens cut.
#pragma once

#include <optional>
#include <string>

#include "models/package.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera {

/// nullopt: `options` say that nothing is to be cut. Throws Error{invalid_argument} for a cut at the
/// beginning.
std::optional<StaticCut> static_cut(const models::StaticModelTexts& reads,
                                    const TextOptions& options, Index max_tokens);

/// `text` may be any bytes, its prompt included.                     model2vec, StaticModel.tokenize
text::Encoding encode_static(const text::Tokenizer& tokenizer,
                             const models::StaticModelTexts& reads, std::string text,
                             const std::optional<StaticCut>& cut);

}  // namespace tessera
