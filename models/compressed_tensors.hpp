// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints in the layout of compressed-tensors, of the format "int-quantized" (and "naive-quantized",
// the same of any type): linears of 8-bit whole numbers, activations quantised by row when they are there.
//
//   X.weight        I8 (N,K)
//   X.weight_scale  F32, F16 or BF16, (N,1) or (N); of strategy "tensor" (1) or ()
//                                                              w[n,k] = X.weight[n,k] · X.weight_scale[n]
//
//   "quantization_config": {"quant_method": "compressed-tensors", "format": "int-quantized",
//     "quantization_status": "compressed", "ignore": ["lm_head"], "config_groups": {"group_0": {
//       "targets": ["Linear"],
//       "weights": {"num_bits": 8, "type": "int", "symmetric": true, "strategy": "channel", ...},
//       "input_activations": {"num_bits": 8, "type": "int", "symmetric": true, "strategy": "token",
//                             "dynamic": true, ...}}}}
//
// And in the same layout with factors for the columns of inputs, which is no one else's: its method is
// "tessera-int8", so that what reads compressed-tensors refuses it, as it would compute something else.
//
//   X.input_factors  F32 (K), powers of two: what the module's input is multiplied with before it is
//                    quantised, the columns of X.weight were divided by. All of its like that read one input
//                    have the same (runtime/program/parameter.hpp, InputFactors). Also of a module
//                    that is quantised when it is loaded (kAtLoad): then X.weight are floats as they were.
//                    "input_factors" of quantization_config names the modules.
//                                     w[n,k] = X.weight[n,k] · X.weight_scale[n] · X.input_factors[k]
//
// Which modules are whole numbers, the file itself says: those that `ignore` names are floats in it.
//                        compressed-tensors ac8e2ba: quantization/quant_config.py, quant_args.py,
//                        quantization/lifecycle/initialize.py, compressors/naive_quantized/base.py
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera::models {

inline constexpr const char* kCompressedTensors = "compressed-tensors";
inline constexpr const char* kWithFactors = "tessera-int8";
inline constexpr std::string_view kWeight = ".weight", kScale = ".weight_scale",
                                  kInputFactors = ".input_factors";
/// In __metadata__ of model.safetensors, as `tessera quantize` writes it: tensors, one a line, that are floats
/// for what else reads them, and are quantised when they are packed for int8, as those of floats alone.
inline constexpr const char* kAtLoad = "tessera.int8_at_load";
/// There too, with any value: those tensors are clipped when they are quantised (Parameter::clips), as the
/// others were.
inline constexpr const char* kClips = "tessera.int8_clips";

struct CompressedTensors {
  bool has_tensor_scales = false;   ///< some weights have one scale for all rows
  bool has_factors = false;         ///< modules may have factors: kWithFactors
  std::vector<std::string> ignore;  ///< modules by name, without expressions ("re:...")
  /// Those that have factors, where config.json names them: a directory whose factors were lost is noticed.
  std::optional<std::vector<std::string>> with_factors{};
};

/// Reads quantization_config. Throws unsupported_model naming what would change the result and is not
/// computed: zero points, groups and blocks, other numbers of bits, packed formats, activations with a
/// scale that was measured before or that depends on other rows.
CompressedTensors read_compressed_tensors(const Config& config);

/// Says to the checkpoint what its tensors of I8 count in. Throws corrupt_file (no scale, one of another
/// shape, one that is no positive number; factors of another shape, that are no powers of two, or that are
/// named and not there, or there and not named; a module of `ignore` in whole numbers), unsupported_model
/// (tensors of what read_compressed_tensors() refuses).
void find_scales(const CompressedTensors& layout, Checkpoint& checkpoint);

/// Whether weights of these args ("num_bits", "strategy", ...) have one scale for a whole tensor. Throws
/// unsupported_model as read_compressed_tensors() does.
bool have_one_scale(const Config& args);

/// The scales of a weight X.weight of I8, one for each row: those of X.weight_scale. Throws as
/// find_scales() does.
std::vector<float> read_scales(const Checkpoint& checkpoint, const StoredTensor& weight,
                               bool may_be_one);

/// The lines of kAtLoad.
std::set<std::string_view> quantized_at_load(const Checkpoint& checkpoint);

/// Throws Error{code}: "FILE: tensor "NAME" PROBLEM".
[[noreturn]] void refuse_tensor(ErrorCode code, const Checkpoint& checkpoint,
                                const std::string& tensor, const std::string& problem);

/// "X" of a tensor "X" + suffix.
std::string module_of(const StoredTensor& tensor, std::string_view suffix);

struct WrittenTensors {
  std::vector<std::string> ignore{};        ///< modules that are floats
  std::vector<std::string> with_factors{};  ///< modules that have factors
  bool has_words = false;                   ///< tables are whole numbers, too
  bool clips = false;                       ///< Parameter::clips
};

/// The member quantization_config for weights (N,K) with a scale for each row. `method`: kCompressedTensors, or
/// kWithFactors where a module has factors.
std::string compressed_tensors_json(const WrittenTensors& tensors,
                                    const char* method = kCompressedTensors);

}  // namespace tessera::models
