// SPDX-License-Identifier: Apache-2.0
//
// A chain: consecutive ops that run together on one block of rows after another. What only they use
// is never larger than a block: it stays in the worker's memory, which every block uses again, and
// the arena has no room for it.
//
//   op by op     for each op: for each block of rows        values of M rows between the ops
//   a chain      for each block of rows: for each op        values of `block_rows` rows, per worker
//
// The price is that every block reads the weights of all ops again. Any ops may be chained of which a
// row of the output depends on the same rows of the inputs alone (linears, norms, activations, …); with
// an attention among them a block is of whole sequences. Blocks change no bits: rows do not depend on
// the rows beside them (docs/PROMISES.md).
//
// An attention whose K and V were written before the chain needs those of all rows and its own queries
// alone (program/keys_first.hpp): a block is then of rows, cut where the attention's own blocks are.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/program/program.hpp"

namespace tessera {

struct OpSchedule;

/// What is decided about the ops from the one that has it on.
struct Chain {
  Index ops = 0;         ///< how many; 0: none begins here
  Index from_rows = 1;   ///< rows of the batch from which on they are chained; with fewer, op by op
  Index block_rows = 0;  ///< most rows of a block

  bool begins() const noexcept { return ops > 0; }
  friend bool operator==(const Chain&, const Chain&) = default;
};

/// Ops [first, first + count).
struct OpSpan {
  std::size_t first = 0, count = 0;
  std::size_t end() const noexcept { return first + count; }
  friend bool operator==(const OpSpan&, const OpSpan&) = default;
};

/// Whether a block of rows of the tokens is enough for the op, of whole sequences if it is an attention.
bool may_be_chained(const Program& program, const Op& op) noexcept;

/// Whether an attention is among the ops and its K or V is written there: blocks are then of whole sequences.
bool takes_whole_sequences(const Program& program, OpSpan span) noexcept;

/// The op, an attention, whose K and V are written before these ops; nothing: there is none among them.
std::optional<std::size_t> attention_of_queries(const Program& program, OpSpan span) noexcept;

/// By value: whether only these ops write and read it, and no output is it.
std::vector<bool> inner_values(const Program& program, OpSpan span);

/// The longest spans of two ops and more between attentions.
std::vector<OpSpan> chains_of_rows(const Program& program);

/// One span per attention: cut between two of them, and at the ends, where the fewest bytes a row are
/// live. A layer of an encoder each. Spans without an attention, as in chains_of_rows(), where there is
/// none. A linear of `schedule` stays with the ops in its tiles.
std::vector<OpSpan> chains_of_layers(const Program& program,
                                     std::span<const OpSchedule> schedule = {});

/// Of a program by keys_first(): what leads to K and V, and what stands behind until the next K and V.
std::vector<OpSpan> chains_of_queries(const Program& program);

/// Rows of the largest register tile of the span's linears, where blocks are best cut; `rows_of(precision)` is
/// that of a family. Ternary calls take several tiles, whose rows are about those of s8.
template <class RowsOf>
Index tile_rows(const Program& program, OpSpan span, RowsOf&& rows_of) noexcept {
  Index most = 1;
  for (std::size_t i = span.first; i < span.end(); ++i) {
    const auto* linear = std::get_if<LinearOp>(&program.ops[i]);
    if (linear == nullptr) continue;
    const Precision precision = program.parameters[at(linear->weight)].precision;
    most = std::max(most, rows_of(precision == Precision::ternary ? Precision::s8 : precision));
  }
  return most;
}

/// Into how many blocks of how many rows and sequences a chain cuts `rows` rows in `sequences` equal
/// sequences, for `workers`; `tile` of tile_rows(). By rows, `sequences` stays what it is.
struct BlockShape {
  Index blocks = 1, rows = 0, sequences = 0;
};
BlockShape block_shape(const Chain& chain, bool whole_sequences, Index rows, Index sequences,
                       Index tile, int workers) noexcept;

/// As many blocks of at most `most` rows as `rows` take, and as many as the workers share evenly.
Index count_blocks(Index rows, Index most, int workers) noexcept;

/// Why the chain at op `i` cannot run in batches of at most `max_rows` rows; empty: it can.
std::string why_no_chain(const Program& program, const std::vector<OpSchedule>& schedule,
                         std::size_t i, Index max_rows);

}  // namespace tessera
