// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints in the layout of transformers' BitLinear: linears of -1, 0 and 1 (BitNet b1.58), activations
// quantised by row.
//
//   X.weight        U8 (N/4,K)   four rows in a byte (runtime/weights/ternary_rows.hpp)
//   X.weight_scale  F32, F16 or BF16, (1) or ()                   w[n,k] = t[n,k] / X.weight_scale
//
//   "quantization_config": {"quant_method": "bitnet", "linear_class": "bitlinear",
//     "quantization_mode": "offline", "modules_to_not_convert": ["classifier"]}
//
// and with two extensions, which the models of models/demo have:
//
//   "weight_scale_strategy": "channel"    X.weight_scale (N) or (N,1)
//   "word_embeddings": {"num_bits": 8, "type": "int", "symmetric": true, "strategy": "channel"}
//                                         word_embeddings.weight I8 (V,H), whose weight_scale (V,1)
//                                         multiplies, as compressed-tensors has it
//
// Which modules are ternary, the file itself says: those that modules_to_not_convert names are floats in it.
//          transformers v4.57 integrations/bitnet.py BitLinear, utils/quantization_config.py BitNetQuantConfig
#pragma once

#include <string>
#include <vector>

#include "models/config.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera::models {

inline constexpr const char* kBitnet = "bitnet";

struct Bitnet {
  bool has_channel_scales = false;           ///< a scale for each output channel, else one
  bool has_whole_words = false;              ///< the table of words may be whole numbers of 8 bits,
  bool words_may_have_one_scale = false;     ///< with one scale for all of it
  std::vector<std::string> not_converted{};  ///< modules, or parts of their names between dots
};

/// Reads quantization_config. Throws unsupported_model naming what would change the result and is not
/// computed: "autobitlinear", "online", norms before linears.
Bitnet read_bitnet(const Config& config);

/// Says to the checkpoint which tensors are ternary and what they count in. Throws corrupt_file (no scale,
/// one of another shape, one that is no positive number; a module that is not converted), unsupported_model
/// (tensors of other types and shapes). A code that stands for nothing is found when its row is read.
void find_scales(const Bitnet& layout, Checkpoint& checkpoint);

}  // namespace tessera::models
