// SPDX-License-Identifier: Apache-2.0
//
// A Program is data: what a model computes, as a flat list of typed ops over named values.
//
// A value is a matrix whose row count is known only at run time: ΣT (all tokens of the ragged
// batch, one after another) or S (one row per sequence); its width is fixed. Ops name values and
// parameters by index. A parameter says which checkpoint tensors it is made of. Nothing here names
// a file, an ISA, a thread or a byte, so the planner, the memory planner, the executor and
// `explain` all read the same list.
//
// Batches are ragged: rows of sequence s are offsets[s] … offsets[s+1]−1 and padding exists
// nowhere. Only attention and pooling look at the offsets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "kernels/types.hpp"

namespace tessera {

using ValueId = std::int32_t;      ///< index into Program::values
using ParameterId = std::int32_t;  ///< index into Program::parameters
inline constexpr std::int32_t kNone = -1;

/// What the number of rows of a value is.
enum class Extent : std::uint8_t { rows, sequences };

struct Value {
  std::string name;  ///< unique, e.g. "layer.3.attention.context"
  Extent extent = Extent::rows;
  Index width = 0;
};

/// How a parameter is used, and with that how it is stored after loading.
enum class ParameterKind : std::uint8_t {
  matrix,  ///< (N,K) weight of a linear: packed into panels
  vector,  ///< (N) bias, gamma, beta: f32
  table,   ///< (rows, width) embedding: left as stored on disk, widened row by row when gathered
  bias,    ///< (heads, 2·reach+1) relative position bias: f32, see Parameter::gather
};

/// Rows of a checkpoint tensor. An empty name stands for zeros.
struct Source {
  std::string tensor;
  Index rows = 0;
};

/// A parameter: its sources stacked along the rows. `rows` × `cols`; a vector has cols = 1.
struct Parameter {
  std::string name;
  ParameterKind kind = ParameterKind::vector;
  Index rows = 0, cols = 1;
  std::vector<Source> sources;
  /// ParameterKind::bias only: the source tensor is (buckets, heads) and element (h, r) of the
  /// parameter is source[gather[r], h]; r = reach + (key column − query column). rows = heads, cols
  /// = gather.size().
  std::vector<std::int32_t> gather;
};

/// Token inputs that an embedding can be indexed by.
enum class TokenInput : std::uint8_t { ids, positions, types };

/// out[i] = Σ_t table_t[input_t[i]], terms added in order.
struct EmbeddingOp {
  struct Term {
    ParameterId table;
    TokenInput input;
  };
  std::vector<Term> terms;
  ValueId out;
};

/// The layer norm of a linear's epilogue.
struct NormEpilogue {
  ParameterId gamma, beta;
  float eps;
};

/// out = act(in · weightᵀ + bias) + residual, then layer norm if `norm` is given. weight (N,K),
/// bias (N) or kNone, residual or kNone.
struct LinearOp {
  ValueId in;
  ParameterId weight;
  ParameterId bias = kNone;
  ValueId out;
  Activation activation = Activation::none;
  ValueId residual = kNone;
  std::optional<NormEpilogue> norm{};
};

/// Per head h of every sequence: out_h = softmax(scale·Q_h K_hᵀ + bias_h) V_h over the keys that
/// `mask` lets a query see, by rows of the sequence; a row that sees none is zero.
/// qkv (ΣT, 3·H): columns [0,H) are Q, [H,2H) K, [2H,3H) V, each head-major; out (ΣT,H); H =
/// heads·head_dim.
struct AttentionOp {
  ValueId qkv;
  ValueId out;
  Index heads, head_dim;
  float scale;
  ParameterId bias = kNone;  ///< ParameterKind::bias, or none
  kernels::AttentionMask mask{};
  bool alibi = false;  ///< bias −2^(−8(h+1)/heads)·|key column − query column| of head h as well
};

/// out = LayerNorm(in + residual)·gamma + beta; residual or kNone.
struct LayerNormOp {
  ValueId in;
  ValueId residual = kNone;
  ParameterId gamma, beta;
  float eps;
  ValueId out;
};

struct ActivationOp {
  ValueId in;
  Activation activation;
  ValueId out;
};

struct AddOp {
  ValueId a, b;
  ValueId out;
};

/// One row per sequence out of its token rows.
enum class Pooling : std::uint8_t {
  first,          ///< row 0 ("cls")
  last,           ///< the last row
  mean,           ///< mean of the rows
  max,            ///< maximum per feature
  mean_sqrt_len,  ///< sum of the rows / sqrt(T)
  weighted_mean,  ///< Σ (t+1) x_t / Σ (t+1)
};

struct PoolOp {
  Pooling pooling;
  ValueId in;   // (ΣT, width)
  ValueId out;  // (S, width)
};

/// out = in / max(‖in‖₂, eps), row by row.
struct L2NormalizeOp {
  ValueId in;
  float eps;
  ValueId out;
};

/// out = [in_0 | in_1 | …] along the features.
struct ConcatOp {
  std::vector<ValueId> in;
  ValueId out;
};

using Op = std::variant<EmbeddingOp, LinearOp, AttentionOp, LayerNormOp, ActivationOp, AddOp,
                        PoolOp, L2NormalizeOp, ConcatOp>;

/// Where the row of the position table comes from.
enum class PositionRule : std::uint8_t {
  column,    ///< 0, 1, 2, …  (BERT)
  from_ids,  ///< pad + running count of ids ≠ pad; an id = pad gets pad  (RoBERTa, MPNet)
};

/// What a model accepts.
struct TokenSpec {
  Index vocab_size = 0;
  Index type_vocab_size = 0;  ///< 0: token types are not used
  Index position_rows = 0;    ///< rows of the position table
  Index max_tokens = 0;       ///< longest sequence
  PositionRule position_rule = PositionRule::column;
  std::int32_t position_pad = 0;  ///< the `pad` of PositionRule::from_ids
  /// Relative position biases are the same for all distances from this one on; 0: there is no such.
  Index far_distance = 0;
};

/// A value that callers may ask for, under the reference's name.
struct Output {
  std::string
      name;  ///< "last_hidden_state", "pooler_output", "logits", "hidden_states.3", "embedding", …
  ValueId value;
};

struct Program {
  TokenSpec tokens;
  std::vector<Parameter> parameters;
  std::vector<Value> values;
  std::vector<Op> ops;
  std::vector<Output> outputs;

  ValueId add_value(std::string name, Extent extent, Index width);
  ParameterId add_parameter(Parameter parameter);
  /// Index of the output called `name`, or kNone.
  std::int32_t find_output(std::string_view name) const noexcept;
};

/// The values that `op` reads (residuals included), and the one that it writes.
std::vector<ValueId> inputs_of(const Op& op);
ValueId output_of(const Op& op) noexcept;
/// The parameters that `op` uses.
std::vector<ParameterId> parameters_of(const Op& op);
/// "linear", "attention", …
const char* name_of(const Op& op) noexcept;
const char* to_string(Pooling pooling) noexcept;

/// Throws Error{internal} naming the op if an index is out of range, widths do not match, a value
/// is read before it is written or written twice.
void check(const Program& program);

/// One line per op: `linear  layer.0.qkv (rows,2304) = embeddings.out (rows,768) ·
/// layer.0.qkv.weight (2304,768) + bias`.
std::string to_string(const Program& program);

}  // namespace tessera
