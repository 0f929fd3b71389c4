// SPDX-License-Identifier: Apache-2.0
//
// Attention of one long sequence in blocks of its queries: a rewrite after which K and V of all rows are
// computed first, and everything else of a layer needs them and the rows of a block alone.
//
//   before   y = norm(x)   qkv = y W   attention(qkv)   …   x'
//   after    y = norm(x)   kv  = y W[K,V]                        all rows, in blocks
//            y = norm(x)   q   = y W[Q]   attention(q, kv)   …   x'   block of rows after block of rows
//
// A plan makes a chain of each of the two lines (plan/chain.hpp): of all rows there are x, K and V alone.
// Weights are not packed anew, since W[Q] and W[K,V] are panels of W; norms and roundings before the
// product are computed twice. The same bits.
#pragma once

#include <functional>

#include "runtime/program/program.hpp"

namespace tessera {

/// `program` rewritten wherever the attention of tokens reads Q, K and V of one value that a linear wrote,
/// turned and rounded or not, and rows of W divide into panels there. `panel(p)` is NR of a family. Where
/// nothing can be rewritten it is returned as it is.
Program keys_first(const Program& program, const std::function<Index(Precision)>& panel);

/// Whether `program` is one that it rewrote.
bool is_keys_first(const Program& program) noexcept;

}  // namespace tessera
