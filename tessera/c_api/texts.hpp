// SPDX-License-Identifier: Apache-2.0
// The texts of a call as token ids.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tessera/c_api/item_statuses.hpp"
#include "tessera/c_api/objects.hpp"

namespace tessera::c_api {

struct TokenizedTexts {
  std::vector<std::int32_t> ids;        // (ΣT)
  std::vector<std::int32_t> types;      // (ΣT); all 0 for a model that has none
  std::vector<std::int64_t> offsets;    // (S+1)
  std::vector<std::int32_t> pool_from;  // (S) tokens of a prompt that poolings leave out
  std::vector<unsigned char> cut;       // (S)
  std::span<unsigned char> is_cut;      // (S) the caller's; empty: unwanted

  /// When nothing can fail any more.
  void write_cut() const noexcept;
};

/// Reads the caller's struct and tokenises. Texts that fail, or have more than `max_rows` tokens while
/// statuses are wanted, are told to `items` and have no tokens. Errors: as tessera_tokenize().
TokenizedTexts tokenize(const ModelObject& model, const tessera_texts* texts, ItemStatuses& items,
                        Index max_rows);

}  // namespace tessera::c_api
