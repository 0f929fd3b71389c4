// SPDX-License-Identifier: Apache-2.0
//
// Writes a Program op by op, the way a model's forward() reads: each call adds one op, the value
// that it writes and the parameters that it uses, with names and shapes checked against the
// checkpoint.
//
// Tensors are given by their name without ".weight" and ".bias". A tensor that is used twice
// (ALBERT's shared layers) becomes one parameter.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/weight_map.hpp"
#include "runtime/program/program.hpp"

namespace tessera::models {

/// F.normalize has it as default, and sentence-transformers leaves it there.
inline constexpr float kNormalizeEps = 1e-12F;

/// nn.BatchNorm2d's and BatchNorm1d's default.
inline constexpr double kBatchNormEps = 1e-5;

/// What attention adds to its scores, and hides.
struct AttentionTerms {
  Position position{};
  kernels::AttentionMask mask{};
  float scale = 0.0F;  ///< of the scores; 0: 1/√head_dim
};

/// Heads of Q, and of K and V, which heads of Q share in groups.
struct HeadCounts {
  Index q = 0, kv = 0, dim = 0;
};

/// What a norm is.
struct NormTerms {
  float eps = 0.0F;
  bool has_beta = true;
  bool of_squares = false;  ///< RMSNorm; then there is no beta
  float offset = 0.0F;      ///< gamma is stored minus this
};

class Builder {
 public:
  /// Both must outlive the builder.
  Builder(Program& program, const WeightMap& weights) : program_(program), weights_(weights) {}

  struct EmbeddingTerm {
    std::string tensor;  ///< with ".weight"
    TokenInput input;
    Dim rows;
  };
  ValueId embedding(const std::string& name, std::initializer_list<EmbeddingTerm> terms,
                    const Dim& width);
  ValueId embedding(const std::string& name, const std::vector<EmbeddingTerm>& terms,
                    const Dim& width);

  /// Row ids[i] of a table that is made at load: of its row n the row gather[n] of `tensor` (stored rows,
  /// width), times row_scale[n]; where they are empty, row n, times 1. Tensors by their full names.
  struct PickedRows {
    std::string tensor;
    Index stored_rows = 0;
    std::vector<std::int32_t> gather;
    std::string row_scale;
    Index rows = 0;
  };
  ValueId picked_embedding(const std::string& name, PickedRows rows, Index width);

  /// A number per token: row ids[i] of the tensor (rows), given by its full name.
  ValueId token_weights(const std::string& name, const std::string& tensor, const Dim& rows);

  /// What a linear may lack or have besides.
  struct LinearTerms {
    bool has_bias = true;
    std::string scale{};  ///< full name of a tensor; empty: none
  };
  /// scale ⊙ (in · weightᵀ + bias), the scale multiplied into weight and bias at load.
  ValueId linear(const std::string& name, ValueId in, const std::string& tensor, const Dim& out,
                 const Dim& in_width, const LinearTerms& terms);
  ValueId linear(const std::string& name, ValueId in, const std::string& tensor, const Dim& out,
                 const Dim& in_width) {
    return linear(name, in, tensor, out, in_width, LinearTerms{});
  }
  /// One product for several linears of the same input: their rows one after another. `has_bias`:
  /// which of them have one; empty: all.
  ValueId stacked_linear(const std::string& name, ValueId in,
                         const std::vector<std::string>& tensors, const Dim& out_each,
                         const Dim& in_width, const std::vector<bool>& has_bias = {});
  /// The same of linears of different widths. `part`: the tensor has more rows than these.
  struct Stacked {
    std::string tensor;
    Dim out;
    bool has_bias = true;
    Index first_row = 0, tensor_rows = 0;  ///< 0: all of the tensor
  };
  ValueId stacked_linear(const std::string& name, ValueId in, const std::vector<Stacked>& parts,
                         const Dim& in_width);
  /// Linear number `first` … first + count − 1 of a stack of `of` that the checkpoint has as one
  /// tensor (nn.MultiheadAttention's in_proj); full names.
  ValueId part_of_linear(const std::string& name, ValueId in, const std::string& weight_tensor,
                         const std::string& bias_tensor, Index first, Index count, Index of,
                         const Dim& out_each, const Dim& in_width);
  /// Row `row` of a tensor (rows, in_width), less that row `minus` if given; full name. No bias.
  ValueId one_row_of_linear(const std::string& name, ValueId in, const std::string& tensor,
                            const Dim& rows, Index row, std::optional<Index> minus,
                            const Dim& in_width);
  /// A linear whose weight and bias have names that do not belong together; full names.
  ValueId linear_of(const std::string& name, ValueId in, const std::string& weight_tensor,
                    const std::string& bias_tensor, const Dim& out, const Dim& in_width);
  ValueId norm(const std::string& name, ValueId in, const std::string& tensor, const Dim& width,
               const NormTerms& terms);
  /// Without `has_beta` beta is zeros.
  ValueId layer_norm(const std::string& name, ValueId in, const std::string& tensor,
                     const Dim& width, float eps, bool has_beta = true);
  ValueId attention(const std::string& name, ValueId qkv, Index heads, Index head_dim,
                    const AttentionTerms& terms);
  /// The same of heads that share K and V: qkv (ΣT, (q + 2kv)·dim).
  ValueId attention(const std::string& name, ValueId qkv, const HeadCounts& heads,
                    const AttentionTerms& terms);
  /// The same of three values (ΣT,H).
  ValueId attention(const std::string& name, ValueId q, ValueId k, ValueId v, Index heads,
                    const AttentionTerms& terms);
  /// Q and K of qkv normalised by head, where tensors (full names) are given, and turned.
  struct RotateTerms {
    std::int32_t rotation = kNone;  ///< of program().rotations
    std::string q_norm{}, k_norm{};
    NormTerms norm{};
  };
  ValueId rotate(const std::string& name, ValueId qkv, const HeadCounts& heads,
                 const RotateTerms& terms);
  /// One query per sequence over its rows; q (S,H), kv (ΣT,2H).
  ValueId attention_pool(const std::string& name, ValueId q, ValueId kv, Index heads,
                         Index head_dim);

  /// Tensors of a patch embedding, by their names in the checkpoint (WeightMap::find).
  struct PatchTensors {
    std::string weight, bias;     ///< full names as published; bias may be empty
    std::vector<Source> special;  ///< rows before the patches
    Source positions{};           ///< no tensor: none
    Index positioned = 0;         ///< special rows that have a position
  };
  /// Precondition: program.inputs is an ImageSpec, which says the sizes.
  ValueId patch_embed(const std::string& name, const PatchTensors& tensors, const Dim& width);
  /// One row of the checkpoint for every sequence.
  ValueId broadcast(const std::string& name, const Source& row, Index width);
  /// `in` itself for Activation::none.
  ValueId activation(const std::string& name, ValueId in, Activation activation);
  /// act(left half) ⊙ right half; `second`: act(right half) ⊙ left half
  ValueId gated(const std::string& name, ValueId in, Activation activation, bool second = false);
  ValueId add(const std::string& name, ValueId a, ValueId b, float scale = 1.0F);
  ValueId pool(const std::string& name, ValueId in, Pooling pooling, Index skip = 0,
               std::int32_t id = 0);
  /// What `linear` computes, pooled: one row per sequence.
  ValueId pooled_linear(const std::string& name, const LinearOp& linear, Activation activation,
                        RowReduction over);
  /// Experts whose weights lie one after another in two tensors (full names): up (experts·F, H), and
  /// down transposed, (experts·F, H) too. `bias`: full name, or empty.
  struct ExpertTerms {
    std::string router, up, down, bias;  ///< router without ".weight"
    Index experts = 0, top = 0;
    Activation activation = Activation::none;
  };
  ValueId experts(const std::string& name, ValueId in, const ExpertTerms& terms, const Dim& inner,
                  const Dim& width);
  ValueId largest_by_id(const std::string& name, ValueId in, std::int32_t from_id);
  ValueId concat(const std::string& name, const std::vector<ValueId>& in);
  ValueId first_columns(const std::string& name, ValueId in, Index columns);
  /// a + columns [first, first + width(a)) of b
  ValueId add_columns(const std::string& name, ValueId a, ValueId b, Index first);
  ValueId l2_normalize(const std::string& name, ValueId in, float eps);

  /// A relative position bias out of the table `tensor` (buckets, heads): see Parameter::gather.
  ParameterId relative_bias(const std::string& tensor, const Dim& buckets, const Dim& heads,
                            std::vector<std::int32_t> gather);

  /// A bias of every pair of rows out of the table `tensor` (buckets, heads), likewise.
  ParameterId pair_bias(const std::string& tensor, const Dim& buckets, const Dim& heads,
                        std::vector<std::int32_t> gather);

  /// Tensors of ParameterKind::distances: full name of the table; those of the rest without ".weight".
  struct DistanceTensors {
    std::string rows, linear;
    std::string norm{};  ///< empty: none
    float eps = 0.0F;
  };
  /// The rows (rows,width), normalised, times the linear (width,width), for heads that share its columns.
  ParameterId distances(const std::string& name, const DistanceTensors& tensors, const Dim& rows,
                        const Dim& width, Index heads, const std::vector<std::int32_t>& gather);
  /// Zeros in the rows that no row attends to.
  ValueId mask_rows(const std::string& name, ValueId in);
  /// nn.Conv1d along each sequence, which keeps its length.
  ValueId convolution(const std::string& name, ValueId in, const std::string& tensor,
                      const Dim& out, const Dim& in_width, const Dim& taps);

  // Of maps (builder_maps.cpp).

  SpaceId add_space(Space space);
  SpaceId space(ValueId value) const;
  /// The rows of a map in windows, or back: see WindowRowsOp.
  ValueId window_rows(const std::string& name, ValueId in, SpaceId to);
  /// Cells of a map side by side in `to`, of RowRule::grid: see MergeCellsOp.
  ValueId merge_cells(const std::string& name, ValueId in, SpaceId to);
  /// Bias between the cells of windows: out of the table `tensor` (buckets, heads), or (heads, hidden)
  /// where `window` has the tensors before it; all full names.
  ParameterId window_bias(const std::string& tensor, const Dim& heads, WindowBias window);
  /// The heads of Q and K of qkv with length √dim, those of Q times exp(min(scale, log 100)) of the tensor
  /// `scale` (heads,1,1): the scores times 1/dim are cosines times that.
  ValueId cosine(const std::string& name, ValueId qkv, const HeadCounts& heads,
                 const std::string& scale);
  /// in ⊙ scale, a row of factors for each sequence.
  ValueId scale_rows(const std::string& name, ValueId in, ValueId scale);

  // timm's ConvNorm: a convolution without bias, "<tensor>.conv.weight", and the batch norm "<tensor>.bn"
  // behind it, which is folded into it.

  /// Of the pixels; program.inputs is an ImageSpec, which says how.
  ValueId norm_patch_embed(const std::string& name, const std::string& tensor, const Dim& width,
                           Activation activation);
  /// 1 x 1: a linear.
  ValueId norm_linear(const std::string& name, ValueId in, const std::string& tensor,
                      const Dim& out, const Dim& in_width);
  /// Of taps x taps cells, into `to`.
  ValueId norm_convolution(const std::string& name, ValueId in, const std::string& tensor,
                           const Dim& out, const Dim& in_width, const Dim& taps, SpaceId to,
                           Activation activation);
  /// Depthwise, of columns [first, first + channels).
  struct DepthwiseTerms {
    Index first = 0;
    SpaceId to = -1;  ///< −1: that of the input
    Activation activation = Activation::none;
    bool adds_input = false;  ///< x + f(x), where nothing else is different
    Index out_width = 0;      ///< zeros beyond the channels; 0: as many as those
  };
  ValueId norm_depthwise(const std::string& name, ValueId in, const std::string& tensor,
                         const Dim& channels, const Dim& taps, const DepthwiseTerms& terms);
  /// timm's NormLinear: the batch norm "<tensor>.bn" and "<tensor>.linear" behind it, one linear.
  ValueId batch_normed_linear(const std::string& name, ValueId in, const std::string& tensor,
                              const Dim& out, const Dim& in_width);
  /// A linear that the checkpoint has as a convolution of 1 x 1, with a bias.
  ValueId pointwise(const std::string& name, ValueId in, const std::string& tensor, const Dim& out,
                    const Dim& in_width);
  /// What AttentionOp says, of slices; one head.
  ValueId attention_of(const std::string& name, const AttentionOp& op);
  /// As pair_bias(), of row `head` of a table (heads, buckets).
  ParameterId pair_bias_of_head(const std::string& tensor, const Dim& heads, const Dim& buckets,
                                Index head, std::vector<std::int32_t> gather);

  void output(const std::string& name, ValueId value) { program_.outputs.push_back({name, value}); }

  Index width(ValueId value) const;
  const WeightMap& weights() const noexcept { return weights_; }
  Program& program() noexcept { return program_; }

 private:
  ParameterId matrix(const std::string& name, const std::vector<std::string>& tensors,
                     const Dim& rows_each, const Dim& cols, const std::string& scale = {});
  ParameterId vector(const std::string& name, const std::vector<std::string>& tensors,
                     const Dim& rows_each, const std::string& scale = {}, float offset = 0.0F);
  ParameterId rows(const std::string& name, std::vector<Source> sources, Index width);
  ParameterId gathered(ParameterKind kind, const std::string& tensor, const Dim& buckets,
                       const Dim& heads, std::vector<std::int32_t> gather);
  ParameterId add_once(Parameter parameter);
  BatchNorm batch_norm(const std::string& tensor, const Dim& width) const;
  ParameterId norm_bias(const std::string& name, const std::string& tensor, const Dim& width);
  ValueId like(const std::string& name, ValueId in, Index width);

  Program& program_;
  const WeightMap& weights_;
  std::map<std::string, ParameterId> known_;  // by kind and sources
};

}  // namespace tessera::models
