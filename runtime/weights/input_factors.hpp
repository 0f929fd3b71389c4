// SPDX-License-Identifier: Apache-2.0
//
// ParameterKind::factors, computed at load: which channel of a value has how much of the 8 bits.
//
// A row x is quantised in steps of its largest |x_k|, a row of W in steps of its largest |W_nk|. A channel
// that is 100 times the others leaves them 1 of 127 steps. So it is made smaller, and the column of W that
// multiplies it larger, by a power of two, which changes no digit of either:
//
//   x'_k = f_k·x_k      W'_nk = W_nk / f_k      f_k = 2^−e_k      2^(2·e_k) ≈ (a_k/ã) / (w_k/w̃)
//
//   a_k   what |x_k| reaches: as measured; else of a norm 3|γ_k| + |β_k|; else 1 for every k
//   w_k   max_n (|W_nk| / max_j |W_nj|): by row, since a row has a scale of its own; of 256 rows at most
//   ã, w̃  their medians
//                                        Xiao et al. 2023 (SmoothQuant), equation 4 with α = ½
//
// Without the data a column of small weights says that its channel is large: that is how a network that
// was trained with outliers reads them. f is 1 everywhere where that gains little (balanced_factors()).
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/program/program.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {

/// f (K), or nothing where every f_k is to be 1. |e_k| ≤ 8; e_k = 0 where a_k or w_k is 0 or not finite.
///
/// Worth it is half the error that a and w predict, or, where a was not measured, a channel with e_k ≥ 2:
/// then the column may know more of it than a does.
///
///   E = max a² · Σ w² + max w² · Σ a²              steps of x meet all of w, steps of W all of x
std::vector<float> balanced_factors(std::span<const float> a, std::span<const float> w,
                                    bool is_measured = false);

/// Raises w (K) to what rows of W (n,K) have.
void raise_columns(std::span<const float> rows, std::span<float> w);

/// What |x_k| reached, (K), by the name of the value.
using MeasuredColumns = std::map<std::string, std::vector<float>>;

/// By parameter of `program`: f (K) of one of that kind, or nothing where all are 1. Where one of its
/// matrices is stored as whole numbers, or the checkpoint says what its factors are, f is what it says
/// (Checkpoint::factors()).
/// Throws Error{corrupt_file} where it says different things of two of them; what reading tensors throws.
std::vector<std::vector<float>> input_factors(const Program& program, const Checkpoint& checkpoint,
                                              const kernels::KernelTable& kernels,
                                              const MeasuredColumns& measured = {});

/// rows[n,k] / f[k], exactly; nothing where f is empty.
void divide_columns(std::span<float> rows, std::span<const float> f);

bool are_ones(std::span<const float> f);

}  // namespace tessera
