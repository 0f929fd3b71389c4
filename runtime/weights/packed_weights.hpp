// SPDX-License-Identifier: Apache-2.0
//
// The parameters of one Program, ready for the kernels of one ISA level, all in one block:
//   matrix  → panels (⌈N/NR⌉, K, NR) f32, zero-padded columns    packed once, here
//   vector  → (N) f32
//   bias    → (heads, 2·reach+1) f32, gathered; pair_bias → (heads, T·T)
//   rows    → (rows, cols) f32
//   table   → read in place from the mapped checkpoint, in its stored type
#pragma once

#include <memory>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/arena.hpp"
#include "runtime/program/program.hpp"
#include "runtime/weights/safetensors.hpp"

namespace tessera {

struct LoadedParameter {
  const float* data = nullptr;  ///< matrix: first panel; vector, bias: first element; table: null
  const void* table = nullptr;  ///< table: row 0, row stride = cols
  DType type = DType::f32;      ///< of the table
  Index rows = 0, cols = 0;
};

class PackedWeights {
 public:
  /// Throws Error{not_found, corrupt_file, unsupported_model} naming the tensor. Non-finite values
  /// are logged.
  PackedWeights(const Program& program, std::shared_ptr<const Checkpoint> checkpoint,
                const kernels::KernelTable& kernels);

  const LoadedParameter& operator[](ParameterId id) const noexcept {
    return parameters_[static_cast<std::size_t>(id)];
  }
  std::size_t packed_bytes() const noexcept { return block_.bytes(); }
  std::size_t mapped_bytes() const noexcept { return mapped_bytes_; }
  std::size_t parameter_count() const noexcept { return parameter_count_; }

 private:
  std::shared_ptr<const Checkpoint> checkpoint_;
  Arena block_;
  std::vector<LoadedParameter> parameters_;
  std::size_t mapped_bytes_ = 0, parameter_count_ = 0;
};

}  // namespace tessera
