// SPDX-License-Identifier: Apache-2.0
// Which tensors of a checkpoint a parameter is made of, and what is made of them at load.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/types.hpp"

namespace tessera {

/// How a parameter is used, and with that how it is stored after loading.
enum class ParameterKind : std::uint8_t {
  matrix,     ///< (N,K) weight of a linear: packed into panels
  vector,     ///< (N) bias, gamma, beta: f32
  table,      ///< (rows, width) embedding: left as stored on disk, widened row by row when gathered
  bias,       ///< (heads, 2·reach+1) relative position bias: f32, see Parameter::gather
  rows,       ///< (rows, cols) f32, row-major: special tokens, position embeddings of a grid
  pair_bias,  ///< (heads, T·T) bias of every pair of rows: f32, see Parameter::gather, WindowBias
  distances,  ///< (rows, heads·d) what stands for a distance: by head packed into panels, see Projection
  factors,  ///< (K) of the columns of a value that is quantised: f32, see InputFactors
};

/// Rows of a checkpoint tensor. An empty name stands for zeros.
struct Source {
  std::string tensor;
  Index rows = 0;
  Index first_row = 0;    ///< of the tensor
  Index tensor_rows = 0;  ///< that the tensor has; 0: `rows`, all of it
};

/// What ParameterKind::distances is made of at load: the rows E of the source, all of whose factors are
/// weights. Names of tensors.
///
///   LayerNorm(E) · weightᵀ + bias             (rows, heads·d); E as it is without gamma and beta
struct Projection {
  std::string weight, bias;  ///< (heads·d, width), (heads·d)
  Index width = 0;           ///< of E
  Index heads = 0;
  std::string gamma{}, beta{};  ///< (width), or empty
  float eps = 0.0F;
};

/// A bias between the cells of windows of n x n, of ParameterKind::pair_bias: T = n². Of windows of rolled
/// maps it has a variant of all heads for each WindowPlace, in which cells from different ends of the map
/// are −100 from one another, −200 of V2 (rows = kWindowPlaces·heads).      Liu et al. 2021 (Swin), §3.2
struct WindowBias {
  Index n = 0;  ///< 0: of no windows
  Index shift = 0;
  /// Where it is no table that is gathered, but computed of the distances of cells: then the source is W_2
  /// (heads, hidden), and these are the names of tensors and the window that they were trained with.
  ///
  ///   16·sigmoid(W_2 · relu(W_1 · c + b_1)),  c = sign(z)·log2(|z| + 1)/3,  z = 8·(dy, dx)/(trained − 1)
  ///                                                   Liu et al. 2022 (Swin V2), §3.3
  std::string weight{}, bias{};  ///< W_1 (hidden, 2), b_1 (hidden)
  Index hidden = 0, trained = 0;
};

/// A batch norm in inference, y = s ⊙ x + t with s = gamma/√(variance + eps), t = beta − mean·s, folded at
/// load, in double, into the linear map before it: rows times s, and bias·s + t; or into the one behind
/// it: columns times s, and bias + weight·t. Names of tensors.
struct BatchNorm {
  std::string gamma{}, beta{}, mean{}, variance{};  ///< (n) each; empty: there is none
  double eps = 0.0;
  bool comes_first = false;  ///< it is before the linear map, n = its columns
  std::string weight{};  ///< of a bias, where it comes first: the (rows, n) that the norm is before

  friend bool operator==(const BatchNorm&, const BatchNorm&) = default;
};

/// What ParameterKind::factors, f, is made of at load: powers of two, by which the columns of a value are
/// multiplied where it is quantised, and those of the matrices that multiply it divided. No product changes;
/// numbers of 8 bits hold large columns and small ones better (runtime/weights/input_factors.hpp).
///
///   Σ_k (x_k·f_k)·(W_nk / f_k) = Σ_k x_k·W_nk
struct InputFactors {
  struct Norm {
    std::int32_t gamma, beta;
  };
  // Parameters of the same program. Layers that share a matrix (ALBERT) share factors.
  std::vector<Norm> norms{};             ///< that write the value, if one does
  std::vector<std::int32_t> matrices{};  ///< that multiply it in whole numbers
};

/// A parameter: its sources stacked along the rows. `rows` × `cols`; a vector has cols = 1.
struct Parameter {
  std::string name;
  ParameterKind kind = ParameterKind::vector;
  Index rows = 0, cols = 1;
  std::vector<Source> sources;
  /// ParameterKind::bias and pair_bias only: the source tensor is (buckets, heads) and element
  /// (h, r) of the parameter is source[gather[r], h]; rows = heads, cols = gather.size().
  ///   bias       r = reach + (key column − query column)
  ///   pair_bias  r = query row · T + key row        (of windows see WindowBias)
  /// Of distances: the row that stands for the distance r − reach, cols = 2·reach + 1, never falling.
  /// Of a table: row n is the source's row gather[n] (runtime/weights/picked_rows.hpp), or empty.
  std::vector<std::int32_t> gather{};
  /// Tensor (rows) that row n is multiplied with at load (a LayerScale that follows; of a table a weight
  /// per token), or empty.
  std::string row_scale{};
  float offset = 0.0F;  ///< of a vector: added to each element at load (a gamma stored as γ − 1)
  /// Of a vector, where not 0: the source has rows / repeats elements, of each of which it has
  /// exp(min(source, log 100)) so often (the logit_scale of each head, for its columns).
  Index repeats = 0;
  /// Of a matrix, or rows, of one source: the source is (cols, rows), of a tensor that is `rows` wide.
  bool transposed = false;
  BatchNorm batch_norm{};  ///< of a matrix, vector or transposed rows of one source
  /// Of a matrix: its columns are (tap, k), those of the source (k, tap), of so many taps.
  Index taps = 1;
  /// Of transposed rows: 1 is added to the middle one: x + f(x) of a depthwise convolution f.
  bool adds_input = false;
  Source minus{};  ///< of a matrix: as many rows that are subtracted at load, or none
  /// Of a matrix, or distances: what it is packed as, and so which GEMM family the ops that read it use.
  Precision precision = Precision::f32;
  bool keeps_floats =
      false;  ///< of a matrix: s8 leaves it, which the checkpoint stores so on purpose
  /// Of a matrix: every row is stored as -1, 0 and 1 with a scale, and packed in the order of the rows. s8
  /// takes it as Precision::ternary where the level has that.
  bool is_ternary = false;
  /// Of a matrix that s8 quantises: the step of a row is that with which its numbers are nearest, so that the
  /// largest may be clipped (RowQuantizer::quantize_clipped); where rows are those of the sources, in floats.
  bool clips = false;
  std::int32_t input_factors = -1;  ///< of a matrix: the factors of the value that it multiplies
  InputFactors made_of{};           ///< of factors, which have no sources
  Projection projection{};          ///< of distances
  WindowBias window{};              ///< of pair_bias
};

}  // namespace tessera
