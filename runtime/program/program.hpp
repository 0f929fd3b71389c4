// SPDX-License-Identifier: Apache-2.0
//
// A Program is data: what a model computes, as a flat list of typed ops over named values.
//
// A value is a matrix whose row count is known only at run time: that of its space (space.hpp; ΣT
// tokens of the ragged batch, S sequences, or derived ones); its width is fixed. Ops name values and
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
#include <type_traits>
#include <variant>
#include <vector>

#include "kernels/attention/attention.hpp"
#include "kernels/types.hpp"
#include "runtime/program/parameter.hpp"
#include "runtime/program/space.hpp"

namespace tessera {

using ValueId = std::int32_t;      ///< index into Program::values
using ParameterId = std::int32_t;  ///< index into Program::parameters
inline constexpr std::int32_t kNone = -1;
/// `id` as an index into a vector. Precondition: id ≥ 0.
constexpr std::size_t at(std::int32_t id) noexcept {
  return static_cast<std::size_t>(id);
}

// How an op uses an operand. Each op lists its operands once, in operands(op, f), which calls
// f(role, id) in order: what it reads, what it writes, its parameters; an id may be kNone. Lifetimes,
// checks, rewrites and whatever else visits a program use that list (for_each_operand).
struct Reads {
  bool in_place = false;  ///< the output may take its memory: read element by element, then written
};
struct Writes {};
struct Uses {};  ///< a parameter

struct Value {
  std::string name;  ///< unique, e.g. "layer.3.attention.context"
  SpaceId space = kTokens;
  Index width = 0;
  DType type = DType::f32;
};

/// Token inputs that an embedding can be indexed by.
enum class TokenInput : std::uint8_t { ids, positions, types };

/// out[i] = scale · Σ_t table_t[input_t[i]], terms added in order.
struct EmbeddingOp {
  struct Term {
    ParameterId table;
    TokenInput input;
  };
  std::vector<Term> terms;
  ValueId out;
  float scale = 1.0F;

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Writes{}, o.out);
    for (auto& term : o.terms) f(Uses{}, term.table);
  }
};

/// The token rows of images, one sequence each: first the special rows, then one row per patch of
/// height × width pixels without overlap, row by row of the image. What is left of the image at the
/// right and below is not read.
///
///   out[i]     = special_i + position_i                       i < special, position_i where
///                                                             i < positioned
///   out[s + p] = weight · patch_p + bias + position_(positioned + p)
///
/// weight (N, C·P·P), columns in the order (channel, y, x). Positions of another grid of patches
/// are interpolated as ImageSpec::resize says.
struct PatchEmbedOp {
  ParameterId weight;
  ParameterId bias = kNone;       // (N)
  ParameterId special = kNone;    // ParameterKind::rows (special tokens, N), or none
  ParameterId positions = kNone;  // ParameterKind::rows (positioned + native patches, N), or none
  Index positioned = 0;           // special rows that have a position
  Activation activation = Activation::none;  // of patches; then there are no positions
  ValueId out;

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Writes{}, o.out);
    f(Uses{}, o.weight), f(Uses{}, o.bias), f(Uses{}, o.special), f(Uses{}, o.positions);
  }
};

/// out[s] = row for every sequence s.
struct BroadcastOp {
  ParameterId row;  // ParameterKind::rows (1, width)
  ValueId out;      // (S, width)

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Writes{}, o.out), f(Uses{}, o.row);
  }
};

/// The layer norm of a linear's epilogue.
struct NormEpilogue {
  ParameterId gamma, beta;
  float eps;
  bool of_squares = false;  ///< as in LayerNormOp
};

/// out = act(in · weightᵀ + bias) + residual, then layer norm if `norm` is given. weight (N,K),
/// bias (N) or kNone, residual or kNone. `in` has the element type of the weight's precision, and its columns
/// the factors that the weight's were divided by (Parameter::input_factors); `out` is f32, or, without a
/// norm, bf16: then the result is rounded where it is written. With `first_row` the rows of the weight from
/// there on alone, as many as `out` has columns (keys_first.hpp); it begins a panel.
struct LinearOp {
  ValueId in;
  ParameterId weight;
  ParameterId bias = kNone;
  ValueId out;
  Activation activation = Activation::none;
  ValueId residual = kNone;
  std::optional<NormEpilogue> norm{};
  std::optional<Index> first_row{};

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in);
    // Tile by tile the residual is read, then written. But v + f(v): A must outlive C's first panel;
    // and a layer norm reads the residual after C is written.
    f(Reads{.in_place = o.residual != o.in && !o.norm}, o.residual);
    f(Writes{}, o.out), f(Uses{}, o.weight), f(Uses{}, o.bias);
    if (o.norm) f(Uses{}, o.norm->gamma), f(Uses{}, o.norm->beta);
  }
};

/// How rows become one.
enum class RowReduction : std::uint8_t { max, sum };

/// out[s] = max or Σ over the rows x of sequence s of act(x · weightᵀ + bias): the vocabulary of a
/// masked language model, pooled (SPLADE), without the product (ΣT,N) that a linear and a pooling
/// would hold. Rows that PoolOp leaves out are left out; without any the result is 0. With max act
/// does not fall, and is applied to the maximum.
struct PooledLinearOp {
  ValueId in;                // (ΣT,K)
  ParameterId weight;        // (N,K)
  ParameterId bias = kNone;  // (N)
  ValueId out;               // (S,N), or (S,2·top)
  Activation activation = Activation::none;
  RowReduction over = RowReduction::max;
  Index top = 0;  ///< > 0: TopColumnsOp of the result (S,N)

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out), f(Uses{}, o.weight), f(Uses{}, o.bias);
  }
};

/// A mixture of experts: out[i] = Σ_e w_e(i) · down_e(act(up_e(in[i]))) + bias over the `top` experts e
/// of row i with the largest scores, the lower number where two are equal; w is the softmax over the
/// scores of all experts, not renormalised. Experts are added in the order of their numbers.
/// Source: Shazeer et al. 2017; the weights as in nomic-embed-text-v2-moe (megablocks).
struct ExpertsOp {
  ValueId in;                         // (rows, H)
  ValueId scores;                     // (rows, experts)
  std::vector<ParameterId> up, down;  // (F,H) and (H,F), one per expert
  ParameterId bias = kNone;           // (H)
  Index top = 1;
  Activation activation = Activation::none;
  ValueId out;  // (rows, H)

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Reads{}, o.scores), f(Writes{}, o.out);
    for (auto& each : o.up) f(Uses{}, each);
    for (auto& each : o.down) f(Uses{}, each);
    f(Uses{}, o.bias);
  }
};

/// Columns of a value, from `first` on.
struct Slice {
  ValueId value = kNone;
  Index first = 0;

  friend bool operator==(const Slice&, const Slice&) = default;
};

// What the positions of a query and a key add to their score; one of them.
struct NoPosition {};
/// bias[h, reach + (key column − query column)], ParameterKind::bias.
struct RelativeBias {
  ParameterId bias;
};
/// bias[h, query row, key row], ParameterKind::pair_bias: every piece has its T rows: a sequence, a map,
/// a window.
struct PairBias {
  ParameterId bias;
};
/// −2^(−8(h+1)/heads)·|key column − query column|.  Press, Smith, Lewis 2022.
struct Alibi {};
/// scale·(q · key[δ] + k · query[δ]), δ = query column − key column, of the terms that there are.
/// ParameterKind::distances, both with the same gather; a distance beyond its reach is its last one.
///                                                       He et al. 2021 (DeBERTa)
struct Disentangled {
  ParameterId key = kNone, query = kNone;
};
using Position = std::variant<NoPosition, RelativeBias, PairBias, Alibi, Disentangled>;

/// Per piece s of the space of q and head h: out_h = softmax(scale·Q_h K_gᵀ + position) V_g over the
/// rows of piece s of the space of k and v that `mask` lets a query see; a row that sees none is
/// zero. Q_h is columns [q.first + h·d, … + d) of q.value; heads share K and V in groups:
/// g = ⌊h·kv_heads/heads⌋. out (rows of q's space, heads·d).
///
///   fused       q, k, v in one value: self_attention()
///   separate    three values of one space
///   grouped     kv_heads < heads
///   cross, pooling   q in another space than k and v, with as many pieces: pooling_attention();
///               then nothing is masked and no position counts
struct AttentionOp {
  Slice q, k, v;
  ValueId out = kNone;
  Index heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 1.0F;
  kernels::AttentionMask mask{};
  Position position{};
  Precision precision = Precision::f32;

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    // A value is listed once, however many of the slices are of it.
    const ValueId q = o.q.value, k = o.k.value, v = o.v.value;
    f(Reads{}, o.q.value);
    if (k != q) f(Reads{}, o.k.value);
    if (v != q && v != k) f(Reads{}, o.v.value);
    if constexpr (!std::is_const_v<Self>) {  // f may have renumbered
      if (k == q) o.k.value = o.q.value;
      if (v == q)
        o.v.value = o.q.value;
      else if (v == k)
        o.v.value = o.k.value;
    }
    f(Writes{}, o.out);
    if (auto* relative = std::get_if<RelativeBias>(&o.position)) f(Uses{}, relative->bias);
    if (auto* pairs = std::get_if<PairBias>(&o.position)) f(Uses{}, pairs->bias);
    if (auto* terms = std::get_if<Disentangled>(&o.position)) {
      f(Uses{}, terms->key), f(Uses{}, terms->query);
    }
  }
};

/// Attention of the rows of qkv (ΣT, 3·H) to one another: columns [0,H) are Q, [H,2H) K, [2H,3H) V.
AttentionOp self_attention(ValueId qkv, ValueId out, Index heads, Index head_dim, float scale);
/// One query per sequence over its rows: q (S,H), kv (ΣT, 2·H): columns [0,H) are K, [H,2H) V.
AttentionOp pooling_attention(ValueId q, ValueId kv, ValueId out, Index heads, Index head_dim,
                              float scale);
/// Whether Q, K and V are one value that holds nothing else, as in self_attention().
bool is_fused(const AttentionOp& op) noexcept;

/// out = LayerNorm(in + residual)·gamma + beta; residual or kNone. `of_squares`: RMSNorm, whose mean
/// counts as 0.
struct LayerNormOp {
  ValueId in;
  ValueId residual = kNone;
  ParameterId gamma, beta;
  float eps;
  ValueId out;
  bool of_squares = false;
  ParameterId factors = kNone;  // as NarrowOp's, of whole numbers

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{true}, o.in), f(Reads{true}, o.residual), f(Writes{}, o.out);
    f(Uses{}, o.gamma), f(Uses{}, o.beta), f(Uses{}, o.factors);
  }
};

/// Angles of a rotation: pair j of a head turns by position · frequencies[j], in f32. A sequence of T
/// positions, T the largest of its rows' + 1, may turn by others where T > limit > 0:
///
///   long_frequencies[j]                                         where these are given (LongRoPE)
///   θ_T^(−2j/R),  θ_T = theta·(factor·T/limit − (factor − 1))^(R/(R−2)),  R columns   (dynamic NTK)
///
/// `on_grid`: positions of the patches of images, each on the grid of its own image; special rows are not
/// turned. Pair j of J turns by
///
///   2π·c·frequencies[j]     c = 2·(i + ½)/n − 1, the centre of place i of the n along an axis, in [−1, 1]
///
/// of the row of the patch where j < J/2, of its column from there on. Source: DINOv3 (Siméoni et al. 2025).
struct Rotation {
  std::vector<float> frequencies;
  bool neighbours = false;  ///< pairs are columns 2j and 2j + 1; else j and j + frequencies.size()
  float scale = 1.0F;       ///< of both cosine and sine (attention_factor of YaRN)
  bool on_grid = false;     ///< then the number of frequencies is even
  Index limit = 0;
  std::vector<float> long_frequencies{};
  double theta = 0.0, factor = 0.0;

  friend bool operator==(const Rotation&, const Rotation&) = default;
};

/// Heads of a value from column `first` on, with the RMSNorm of each before the rotation, or without.
struct Heads {
  Index first = 0, count = 0;
  ParameterId gamma = kNone;  // (head_dim), or (count·head_dim): one for each head
};

/// out = in, but for the heads of q and k: normalised, then turned by the position of their row.
/// Sources: Su et al. 2021 (RoFormer); the norm as in Qwen3 and Gemma 3.
struct RotateOp {
  ValueId in;   // (rows, width)
  ValueId out;  // likewise
  Heads q, k;
  Index head_dim = 0;
  float eps = 0.0F;               // of both norms
  std::int32_t rotation = kNone;  // index into Program::rotations, or none

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{true}, o.in), f(Writes{}, o.out), f(Uses{}, o.q.gamma), f(Uses{}, o.k.gamma);
  }
};

struct ActivationOp {
  ValueId in;
  Activation activation;
  ValueId out;

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{true}, o.in), f(Writes{}, o.out);
  }
};

/// out = in as linears of another precision read it: rounded to bf16, to nearest even; or as whole numbers
/// with a scale for each row, its columns times `factors` (kernels::QuantizeRows).
struct NarrowOp {
  ValueId in;
  ValueId out;
  ParameterId factors = kNone;  // ParameterKind::factors (K), or none

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out), f(Uses{}, o.factors);
  }
};

/// out = act(in[:, :W]) ⊙ in[:, W:]; in (rows, 2W), out (rows, W): SwiGLU and its like. `second`: act of
/// the other half.
struct GatedOp {
  ValueId in;
  Activation activation;
  ValueId out;
  bool second = false;

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out);
  }
};

/// out = scale·(a + b), of b the columns from `first` on.
struct AddOp {
  ValueId a, b;
  ValueId out;
  float scale = 1.0F;
  Index first = 0;

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{true}, o.a), f(Reads{o.first == 0}, o.b), f(Writes{}, o.out);
  }
};

/// One row per sequence out of its rows.
enum class Pooling : std::uint8_t {
  first,               ///< row 0 ("cls")
  last,                ///< the last row
  mean,                ///< mean of the rows
  max,                 ///< maximum per feature
  mean_sqrt_len,       ///< sum of the rows / sqrt(T)
  weighted_mean,       ///< Σ (t+1) x_t / Σ (t+1)
  first_of_id,         ///< the first row whose token id is `id`; row 0 if there is none
  largest_id,          ///< the first row with the largest token id
  last_other_than_id,  ///< the last row whose token id is not `id`; row 0 if there is none
};

struct PoolOp {
  Pooling pooling;
  ValueId in;           // (ΣT, width), or (cells of maps, width)
  ValueId out;          // (S, width)
  Index skip = 0;       // rows of every sequence that are left out (special tokens): first, mean
  std::int32_t id = 0;  // of first_of_id, last_other_than_id

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out);
  }
};

/// out[s, v] = the largest in[i] of the rows i of sequence s whose token id is v; 0 where there is none,
/// and where v < from_id (special tokens). Rows that PoolOp leaves out are left out.
struct LargestByIdOp {
  ValueId in;   // (ΣT, 1)
  ValueId out;  // (S, vocabulary), or (S, 2·top)
  std::int32_t from_id = 0;
  Index top = 0;  ///< > 0: TopColumnsOp of the result, which is not held

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out);
  }
};

/// Columns that TopColumnsOp can name: whole numbers that f32 holds.
inline constexpr Index kMostTopColumns = Index{1} << 24;

/// The k largest elements of a row that are not 0, NaN before numbers, of equal ones the lower column
/// first: out[s] = k values, then their k columns. Where there are fewer: 0 of column -1.
struct TopColumnsOp {
  ValueId in;   // (S, N), N ≤ kMostTopColumns
  ValueId out;  // (S, 2k), 1 ≤ k ≤ N

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out);
  }
};

/// out = in / max(‖in‖₂, eps), row by row.
struct L2NormalizeOp {
  ValueId in;
  float eps;
  ValueId out;

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{true}, o.in), f(Writes{}, o.out);
  }
};

/// out = [in_0 | in_1 | …] along the features, as far as `out` is wide: its first columns, of one value
/// or of several.
struct ConcatOp {
  std::vector<ValueId> in;
  ValueId out;

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    for (auto& in : o.in) f(Reads{}, in);
    f(Writes{}, o.out);
  }
};

/// out = in, with zeros in the rows that no row attends to (Batch::query_only).
struct MaskRowsOp {
  ValueId in;   // (ΣT, width)
  ValueId out;  // likewise

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{true}, o.in), f(Writes{}, o.out);
  }
};

/// A convolution along the columns of each sequence, which stays as long as it is:
///
///   out[i] = Σ_t W_t · in[row of column_i + t − ⌊taps/2⌋] + bias        0 ≤ t < taps, which is odd
///
/// A column without a row, or of one that no row attends to, counts as zeros. weight (N, K·taps),
/// columns in the order (k, t).
struct ConvolutionOp {
  ValueId in;  // (ΣT, K)
  ParameterId weight;
  ParameterId bias = kNone;  // (N)
  Index taps = 1;
  ValueId out;  // (ΣT, N)

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out), f(Uses{}, o.weight), f(Uses{}, o.bias);
  }
};

/// The rows of maps in the order of their windows, or back: one of the two spaces is
/// RowRule::grid_windows of the other. Cells of windows that stand for no cell of the map are zeros.
///
///   out[window, y, x] = in[the cell that is there after rolling]      Liu et al. 2021 (Swin), §3.2
struct WindowRowsOp {
  ValueId in;
  ValueId out;  // as wide

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out);
  }
};

/// n x n cells side by side, column by column, where `out` is in a space of RowRule::grid of that n:
///
///   out[y,x] = [in[ny,nx] | in[ny+1,nx] | … | in[ny,nx+1] | …]        cells beyond the map are zeros
///                                                         Liu et al. 2021 (Swin), §3.1, patch merging
struct MergeCellsOp {
  ValueId in;   // (cells, C)
  ValueId out;  // (merged cells, n²·C)

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out);
  }
};

/// A convolution of taps x taps cells of maps, taps odd. `out` is in the space of `in` (n = 1), or in one
/// of RowRule::grid of it, whose n is the stride:
///
///   out[y,x] = act(Σ_{dy,dx} W[dy,dx] · in[n·y + dy − ⌊taps/2⌋, n·x + dx − ⌊taps/2⌋] + bias)
///
/// Beyond the map there are zeros. weight (N, taps²·K), columns in the order (dy, dx, k).
struct GridConvolutionOp {
  ValueId in;  // (cells, K)
  ParameterId weight;
  ParameterId bias = kNone;  // (N)
  Index taps = 1;
  Activation activation = Activation::none;
  ValueId out;  // (cells, N)

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in), f(Writes{}, o.out), f(Uses{}, o.weight), f(Uses{}, o.bias);
  }
};

/// The same channel by channel, of C columns; also of the windows of RowRule::grid_windows, each a map of
/// its own:
///
///   out[y,x] = act(Σ_{dy,dx} w[dy,dx] ⊙ in[n·y + dy − ⌊taps/2⌋, n·x + dx − ⌊taps/2⌋] + bias)
///
/// Columns of `out` from C on are zeros.
struct DepthwiseOp {
  Slice in;                  // C columns of (cells, width)
  ParameterId weight;        // ParameterKind::rows (taps², C)
  ParameterId bias = kNone;  // (C)
  Index taps = 1;
  Activation activation = Activation::none;
  ValueId out;  // (cells, C or more)

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{}, o.in.value), f(Writes{}, o.out), f(Uses{}, o.weight), f(Uses{}, o.bias);
  }
};

/// out[i] = in[i] ⊙ scale[s] of the rows i of sequence s.      Hu et al. 2018, squeeze-and-excitation
struct ScaleRowsOp {
  ValueId in;     // (ΣT, width), or (cells of maps, width)
  ValueId scale;  // (S, width)
  ValueId out;    // as in

  template <class Self, class F>
  static void operands(Self& o, F&& f) {
    f(Reads{true}, o.in), f(Reads{}, o.scale), f(Writes{}, o.out);
  }
};

using Op =
    std::variant<EmbeddingOp, PatchEmbedOp, BroadcastOp, LinearOp, PooledLinearOp, ExpertsOp,
                 AttentionOp, LayerNormOp, RotateOp, ActivationOp, NarrowOp, GatedOp, AddOp, PoolOp,
                 LargestByIdOp, TopColumnsOp, L2NormalizeOp, ConcatOp, MaskRowsOp, ConvolutionOp,
                 WindowRowsOp, MergeCellsOp, GridConvolutionOp, DepthwiseOp, ScaleRowsOp>;

/// Where the row of the position table comes from.
enum class PositionRule : std::uint8_t {
  column,    ///< 0, 1, 2, …  (BERT)
  from_ids,  ///< pad + running count of ids ≠ pad; an id = pad gets pad  (RoBERTa, MPNet)
};

/// What a row that no row attends to (Batch::query_only) attends to.
enum class MaskedRows : std::uint8_t {
  see_attended,        ///< the rows that are attended to, as far as the mask lets it
  see_all,             ///< every row evenly, itself and its like included (DeBERTa)
  see_all_if_nothing,  ///< as see_attended; where the mask hides all of these, as see_all (ModernBERT)
};

/// TokenSpec::max_tokens of a model whose sequences may have any length.
inline constexpr Index kAnyLength = Index{1} << 30;

/// A model that takes token ids, and types where it has them.
struct TokenSpec {
  Index vocab_size = 0;
  Index type_vocab_size = 0;  ///< 0: token types are not used
  Index position_rows = 0;    ///< rows of the position table; 0: there is none
  Index max_tokens = 0;       ///< longest sequence; kAnyLength where nothing limits it
  PositionRule position_rule = PositionRule::column;
  std::int32_t position_pad = 0;  ///< the `pad` of PositionRule::from_ids
  /// Relative position biases are the same for all distances from this one on; 0: there is no such.
  Index far_distance = 0;
  MaskedRows masked_rows = MaskedRows::see_attended;
};

/// How the position embeddings of the native grid become those of another one.
enum class PositionResize : std::uint8_t {
  none,                 ///< they do not
  bicubic,              ///< torch interpolate(mode="bicubic", align_corners=False): a = −3/4
  bicubic_antialiased,  ///< ... antialias=True: a = −1/2, wider where the grid shrinks
};

/// Which image sizes a model takes.
enum class ImageSizes : std::uint8_t {
  native,     ///< one
  on_asking,  ///< others where Batch::interpolate_positions asks for it (ViT, DeiT, CLIP, SigLIP)
  any,        ///< others as a matter of course (DINOv2)
};

/// A model that takes images.
struct ImageSpec {
  Index channels = 0;
  Index height = 0, width = 0;              ///< native size, pixels
  Index patch_height = 0, patch_width = 0;  ///< pixels
  Index special_tokens = 0;                 ///< rows before the patches of an image
  /// What is left of an image at the right and below is a patch, too, with zeros beyond the image.
  bool pads = false;
  /// Patches begin so many pixels above and to the left of their cells, and are larger by as many: 1 of
  /// a convolution of 3 x 3 with stride 2. Beyond the image there are zeros.
  Index before = 0;
  Index least_height = 1, least_width = 1;  ///< of an image, pixels
  ImageSizes sizes = ImageSizes::native;
  PositionResize resize = PositionResize::none;

  Grid grid_of(Index its_height, Index its_width) const noexcept {
    const Index more_rows = pads ? patch_height - 1 : 0, more_cols = pads ? patch_width - 1 : 0;
    return {(its_height + more_rows) / patch_height, (its_width + more_cols) / patch_width};
  }
  Index grid_rows() const noexcept { return grid_of(height, width).rows; }
  Index grid_cols() const noexcept { return grid_of(height, width).cols; }
  Index patch_elements() const noexcept {
    return channels * (before + patch_height) * (before + patch_width);
  }
  /// Token rows of an image of the native size.
  Index native_rows() const noexcept { return special_tokens + grid_rows() * grid_cols(); }
};

/// What a model takes, one of these. A further kind (series: samples of speech or of a sensor) is a
/// struct here, a member of Batch, and an op that turns it into rows, as PatchEmbedOp does images.
/// What must know every kind (name_of below, check_batch, canonical_text, the tool's info, ...)
/// visits, and does not compile until it does; what serves one kind asks for it by tokens() or
/// images().
using Inputs = std::variant<TokenSpec, ImageSpec>;

/// A value that callers may ask for, under the reference's name.
struct Output {
  std::string
      name;  ///< "last_hidden_state", "pooler_output", "logits", "hidden_states.3", "embedding", …
  ValueId value;
};

struct Program {
  Inputs inputs;
  std::vector<Space> spaces = default_spaces();
  std::vector<Parameter> parameters;
  std::vector<Value> values;
  std::vector<Op> ops;
  std::vector<Output> outputs;
  std::vector<Rotation> rotations{};

  /// Null if the model takes something else.
  const TokenSpec* tokens() const noexcept { return std::get_if<TokenSpec>(&inputs); }
  const ImageSpec* images() const noexcept { return std::get_if<ImageSpec>(&inputs); }

  ValueId add_value(std::string name, SpaceId space, Index width, DType type = DType::f32);
  ParameterId add_parameter(Parameter parameter);
  /// Index of an equal one, new or known.
  std::int32_t add_rotation(Rotation rotation);
  /// Index of the output called `name`, or kNone.
  std::int32_t find_output(std::string_view name) const noexcept;
};

/// What `program` takes. Throws Error{invalid_argument} if it takes something else.
const TokenSpec& require_tokens(const Program& program);
const ImageSpec& require_images(const Program& program);

/// Calls f(role, id) for every operand that `op` (of type Op or const Op) has: ids are references.
template <class AnyOp, class F>
void for_each_operand(AnyOp& op, F&& f) {
  std::visit(
      [&](auto& o) {
        o.operands(o, [&](auto role, auto& id) {
          if (id != kNone) f(role, id);
        });
      },
      op);
}

/// The values that `op` reads (residuals included), and the one that it writes.
std::vector<ValueId> inputs_of(const Op& op);
ValueId output_of(const Op& op) noexcept;
/// The parameters that `op` uses.
std::vector<ParameterId> parameters_of(const Op& op);
/// How often each value is read, by ops and as an output.
std::vector<int> count_uses(const Program& program);
/// The index of the op that writes each value, or -1.
std::vector<std::int32_t> find_writers(const Program& program);
/// The most rows of a value for `rows` token rows in `sequences` sequences.
Index most_rows(const Program& program, ValueId id, Index rows, Index sequences);
/// The most rows of one sequence for `rows` token rows: what the model's positions or image size
/// leave of them.
Index longest_sequence(const Program& program, Index rows) noexcept;
/// The most rows of one piece of `space` for `rows` token rows.
Index longest_piece(const Program& program, SpaceId space, Index rows);
/// Whether a piece of this space is all rows of a sequence: tokens, and maps.
bool is_of_sequences(const Program& program, SpaceId space) noexcept;
/// Variants of all heads that a pair bias has: kWindowPlaces, or 1.
Index variants_of(const Parameter& pair_bias) noexcept;
/// "linear", "attention", …
const char* name_of(const Op& op) noexcept;
/// "tokens", "images"
const char* name_of(const Inputs& inputs) noexcept;
const char* to_string(Pooling pooling) noexcept;
const char* to_string(RowReduction over) noexcept;  ///< "max", "sum"

/// Throws Error{internal} naming the op if an index is out of range, widths do not match, a value
/// is read before it is written or written twice.
void check(const Program& program);

/// One line per op:
///
///   linear  layer.0.qkv (tokens,2304) = embeddings.out (tokens,768)
///                                       · layer.0.qkv.weight (2304,768) + bias   (in one line)
std::string to_string(const Program& program);

}  // namespace tessera
