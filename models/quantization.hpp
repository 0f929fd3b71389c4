// SPDX-License-Identifier: Apache-2.0
//
// How config.json says that weights are stored as numbers of few bits: quantization_config (or
// compression_config, its older name), whose quant_method names the layout. One file for each layout that
// is read; every other method is refused by name.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "models/bitnet.hpp"
#include "models/compressed_tensors.hpp"
#include "models/config.hpp"
#include "runtime/program/program.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera::models {

/// What a directory says, by its method: one of those in kMethods of quantization.cpp.
using Quantization = std::variant<CompressedTensors, Bitnet>;

/// What config.json says; nothing where all weights are floats.
/// Throws unsupported_model naming the key and the value that this version does not compute; corrupt_file.
std::optional<Quantization> read_quantization(const Config& config);

/// Finds the whole numbers of the checkpoint of that config.json and says to it what they count in
/// (Checkpoint::set_scales(), set_ternary()). Throws corrupt_file, unsupported_model naming the tensor.
void find_scales(const Quantization& quantization, Checkpoint& checkpoint);

/// Says to matrices of `program` what they are stored as: Parameter::is_ternary; and those that a compressor
/// of linears left in floats stay so in Precision::s8 (Parameter::keeps_floats): those of a tensor X.weight (N,K) that kAtLoad does not name. Fused ones stay
/// whole: one source of floats keeps them all. Parameter::clips where the file says so (kClips).
/// Throws corrupt_file: a table has input factors.
/// Precondition: `program` is of tensors of that checkpoint alone.
void say_how_stored(const Checkpoint& checkpoint, Program& program);

/// "24 of 30 matrices as whole numbers of 8 bits, ...": for people.
std::string describe_stored(const Checkpoint& checkpoint, const Program& program);

}  // namespace tessera::models
