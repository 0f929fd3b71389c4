// SPDX-License-Identifier: Apache-2.0
// The values of an op, to be renumbered by rewrites.
#pragma once

#include "runtime/base/overloaded.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

/// Calls f(id) on a mutable reference to every value id (inputs and output) of `op`.
template <class F>
void for_each_value(Op& op, F&& f) {
  const auto optional = [&](ValueId& id) {
    if (id != kNone) f(id);
  };
  std::visit(Overloaded{
                 [&](EmbeddingOp& o) { f(o.out); },
                 [&](PatchEmbedOp& o) { f(o.out); },
                 [&](BroadcastOp& o) { f(o.out); },
                 [&](LinearOp& o) { f(o.in), optional(o.residual), f(o.out); },
                 [&](AttentionOp& o) { f(o.qkv), f(o.out); },
                 [&](AttentionPoolOp& o) { f(o.q), f(o.kv), f(o.out); },
                 [&](LayerNormOp& o) { f(o.in), optional(o.residual), f(o.out); },
                 [&](AddOp& o) { f(o.a), f(o.b), f(o.out); },
                 [&](ConcatOp& o) {
                   for (ValueId& in : o.in) f(in);
                   f(o.out);
                 },
                 [&](auto& o) { f(o.in), f(o.out); },
             },
             op);
}

}  // namespace tessera
