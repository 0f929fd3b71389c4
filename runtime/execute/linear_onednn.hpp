// SPDX-License-Identifier: Apache-2.0
//
// oneDNN as one more implementation of a linear, C = act(A Wᵀ + bias) + residual: the opponent of
// the benchmarks, and a candidate that a user may opt into. What it breaks, and why it is never
// chosen by itself:
//
//   - Its order of summation depends on M: the bits of a row depend on how many rows one call has.
//   - The first call with a new M, lda or ldc compiles a primitive: it allocates and takes
//     milliseconds.
//
// oneDNN itself stands in a plugin (runtime/plugins/), which is loaded at the first use.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/kernel_table.hpp"

namespace tessera::execute {

/// One call: M rows of activations to M rows of N columns.
struct OneDnnCall {
  const void* a;  // (M,K) of the linear's precision, row stride lda
  Index lda;
  float* c;  // (M,N), row stride ldc
  Index ldc;
  Index M;
  Activation activation = Activation::none;
  const float* residual = nullptr;  // (M,N), row stride ldr; may be c (same ldr)
  Index ldr = 0;
};

/// What oneDNN makes its choice for.
struct OneDnnRows {
  Index M, lda, ldc;
};

/// One linear with its weight in the layout that oneDNN wants. One call at a time per object.
class OneDnnLinear {
 public:
  /// Whether the plugin can be loaded. Without it the constructor throws; `why` says what it would.
  static bool is_available(std::string* why = nullptr);

  /// A and W are of `precision`; bias and C are f32. `bias` (N) or null stays the caller's. oneDNN
  /// chooses the layout of the weight for calls like `typical` (others run too, perhaps slower): its
  /// fastest one serves dense rows only. Throws Error: invalid_argument for extents < 1, strides below
  /// them, and without the plugin; out_of_memory; internal with oneDNN's words.
  OneDnnLinear(Index N, Index K, const float* bias, OneDnnRows typical,
               Precision precision = Precision::f32);
  ~OneDnnLinear();
  OneDnnLinear(OneDnnLinear&&) noexcept;
  OneDnnLinear& operator=(OneDnnLinear&&) noexcept;

  /// Of the weight in its layout.
  [[nodiscard]] std::size_t weight_bytes() const noexcept;

  /// Brings W (N,K), row stride ldw, into the layout, at `storage` (weight_bytes(), 64-byte
  /// aligned, the caller's), and uses it. Throws as the constructor.
  void load(const void* w, Index ldw, float* storage);

  /// Uses another copy of what load() wrote.
  void use(const float* storage) noexcept;

  /// Whether run() computes it: a residual that is c itself cannot follow an activation, since
  /// oneDNN writes c first.
  static bool supports(const OneDnnCall& call) noexcept;

  /// Runs on the calling thread alone. False where oneDNN refuses, has nothing but its reference
  /// loops (a thousand times slower), or !supports(call): then c is undefined. activation and
  /// residual are the kernels' own, row-wise, after the product: their formulas differ from
  /// oneDNN's in the last bits. Precondition: load() or use() came before; 1 ≤ M.
  bool run(const OneDnnCall& call, const kernels::KernelTable& kernels) noexcept;

  /// oneDNN's name of what runs such rows, e.g. "brg:avx512_core"; "none" where it refuses.
  std::string implementation(OneDnnRows rows);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera::execute
