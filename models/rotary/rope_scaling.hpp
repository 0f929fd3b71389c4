// SPDX-License-Identifier: Apache-2.0
//
// Rotary angles of contexts that are longer than those of training: the kinds of rope_scaling, or of
// rope_parameters, as transformers' modeling_rope_utils.py has them. R columns turn, f_j = θ^(−2j/R) is
// the frequency of pair j, L original_max_position_embeddings or else max_position_embeddings.
//
//   default    f_j
//   linear     f_j / factor                                                          Chen et al. 2023
//   dynamic    f_j; in a sequence of T > max_position_embeddings positions that of another θ
//              (Rotation, program.hpp)
//   yarn       f_j·(k_j + (1 − k_j)/factor),  k_j = 1 − clamp((j − low)/(high − low), 0, 1),
//              low, high: the pairs that turn beta_fast and beta_slow times in L positions; cosine
//              and sine times attention_factor                                       Peng et al. 2023
//   longrope   f_j / short_factor_j; in a sequence of T > L positions f_j / long_factor_j;
//              attention_factor likewise                                             Ding et al. 2024
//   llama3     f_j; f_j / factor of waves longer than L/low_freq_factor; in between, from
//              L/high_freq_factor on, a mean of the two                              Llama 3.1
//
// T is the sequence's own length, so that results do not depend on its neighbours; the reference asks how
// long the longest sequence of the batch is, padding included.
#pragma once

#include "models/config.hpp"
#include "runtime/program/program.hpp"

namespace tessera::models {

/// What the frequencies of a rotation were made of.
struct RotaryBase {
  double theta = 0.0;
  Index columns = 0;        ///< R
  Index max_positions = 0;  ///< max_position_embeddings
};

/// Frequencies, scale and limit of `rotation`, which is f_j, as `scaling` says; `config` is the whole.
/// Errors  unsupported_model naming a kind that is not computed; corrupt_file naming the key that a kind
///         needs, or that contradicts another.
void scale_rotation(const Config& scaling, const Config& config, const RotaryBase& base,
                    Rotation& rotation);

}  // namespace tessera::models
