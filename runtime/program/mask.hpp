// SPDX-License-Identifier: Apache-2.0
// Attention masks by what they are for, checked and printed.
#pragma once

#include <string>

#include "kernels/kernel_table.hpp"

namespace tessera {

/// Throws Error{invalid_argument}, naming `where`, for a mask that no kernel takes: negative
/// windows, a window that hides every key, local < 1, a restart within the local part.
void check_mask(const kernels::AttentionMask& mask, const std::string& where);

// Each throws as check_mask does.

/// Keys −w/2 … w/2 around the query; `width` = w + 1 keys, odd and ≥ 1. Wider than T is full.
kernels::AttentionMask sliding_window(Index width);
/// Keys up to the query.
kernels::AttentionMask causal();
/// The query and the width − 1 keys before it.
kernels::AttentionMask causal_window(Index width);
/// `local` neighbours and then distances that double, anew every `restart` keys.
kernels::AttentionMask log_sparse(Index local, Index restart, bool is_causal);

/// "full", "window (64 left, 64 right)", "causal", …
std::string to_string(const kernels::AttentionMask& mask);

}  // namespace tessera
