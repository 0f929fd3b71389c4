// SPDX-License-Identifier: Apache-2.0
//
// The parameters of one Program, ready for the kernels of one ISA level, all in one block:
//   matrix  → ⌈N/NR⌉ panels of the GEMM family of its precision  packed once, here
//   vector  → (N) f32
//   bias    → (heads, 2·reach+1) f32, gathered; pair_bias → (heads, T·T)
//   rows    → (rows, cols) f32
//   factors → (K) f32, computed here (input_factors.hpp); the matrices that they name are divided by them
//   distances → by head ⌈rows/NR⌉ panels of the GEMM of its precision, computed here (project_rows.hpp)
//   table   → read in place from the mapped checkpoint, in its stored type; f32 where its rows are made
//             at load (picked_rows.hpp)
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/base/arena.hpp"
#include "runtime/program/program.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {

struct LoadedParameter {
  /// vector, bias, rows, factors: first element; matrix, table, factors that are all 1: null
  const float* data = nullptr;
  const std::byte* panels = nullptr;     ///< matrix, distances: the first one, as packed it
  const void* table = nullptr;           ///< table: row 0, row stride = cols
  DType type = DType::f32;               ///< of the table
  const float* scales = nullptr;         ///< of a table of s8: one for each row
  Precision precision = Precision::f32;  ///< of the matrix
  Index rows = 0, cols = 0;
};

struct WeightBytes {
  std::size_t packed = 0;  ///< the block
  std::size_t mapped = 0;  ///< tables that are read where they are mapped
};

/// What PackedWeights will take; reads shapes alone. Throws as its constructor does.
WeightBytes weight_bytes(const Program& program, const Checkpoint& checkpoint,
                         const kernels::KernelTable& kernels, bool copy_tables);

struct WeightOptions {
  Isa isa = Isa::baseline;                  ///< of the kernels
  std::filesystem::path cache_directory{};  ///< empty: no cache
  bool copy_tables = false;                 ///< tables are copied into the block
};

class PackedWeights {
 public:
  /// Throws Error{not_found, corrupt_file, unsupported_model} naming the tensor. Non-finite values
  /// are logged.
  PackedWeights(const Program& program, std::shared_ptr<const Checkpoint> checkpoint,
                const kernels::KernelTable& kernels, const WeightOptions& options = {});

  const LoadedParameter& operator[](ParameterId id) const noexcept {
    return parameters_[static_cast<std::size_t>(id)];
  }
  std::size_t packed_bytes() const noexcept { return bytes_.packed; }
  std::size_t mapped_bytes() const noexcept { return bytes_.mapped; }
  /// Whether the block is the mapped cache file.
  bool from_cache() const noexcept { return cached_.has_value(); }
  /// Throws Error{corrupt_file} if a file that tables or the block are read from has another size
  /// or time than when it was opened, invalid_argument if the caller's memory shows that it was freed.
  /// One fstat() per file, or one msync().
  void check_unchanged() const;
  std::size_t parameter_count() const noexcept { return parameter_count_; }

 private:
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::vector<LoadedParameter> parameters_;
  WeightBytes bytes_;
  Arena block_;                       // packed here, or
  std::optional<MappedFile> cached_;  // the cache file
  std::size_t parameter_count_ = 0;
};

}  // namespace tessera
