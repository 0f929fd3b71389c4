// SPDX-License-Identifier: Apache-2.0
// The texts of a call as token ids.
#pragma once

#include <cstdint>
#include <vector>

#include "tessera/c_api/objects.hpp"

namespace tessera::c_api {

struct TokenizedTexts {
  std::vector<std::int32_t> ids;        // (ΣT)
  std::vector<std::int32_t> types;      // (ΣT); all 0 for a model that has none
  std::vector<std::int64_t> offsets;    // (S+1)
  std::vector<std::int32_t> pool_from;  // (S) tokens of a prompt that poolings leave out
};

/// Reads the caller's struct and tokenises. Errors: as tessera_tokenize().
TokenizedTexts tokenize(const ModelObject& model, const tessera_texts* texts);

}  // namespace tessera::c_api
