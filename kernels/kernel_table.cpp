// SPDX-License-Identifier: Apache-2.0
// Overlays the tables of the levels, lowest first: a level lists only what it adds or beats (null =
// inherit), so "which code runs here?" is answered by reading arch/ upwards.
#include "kernels/kernel_table.hpp"

#include <array>

#include "kernels/arch/tables.hpp"

namespace tessera {

const char* to_string(Activation activation) noexcept {
  switch (activation) {
    case Activation::none:
      return "none";
    case Activation::gelu_erf:
      return "gelu_erf";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::gelu_quick:
      return "gelu_quick";
    case Activation::relu:
      return "relu";
    case Activation::tanh:
      return "tanh";
    case Activation::silu:
      return "silu";
    case Activation::sigmoid:
      return "sigmoid";
  }
  return "unknown";
}

const char* to_string(DType type) noexcept {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
  }
  return "unknown";
}

}  // namespace tessera

namespace tessera::kernels {

const char* to_string(AttentionDataflow dataflow) noexcept {
  switch (dataflow) {
    case AttentionDataflow::layerwise:
      return "layerwise";
    case AttentionDataflow::flat_head:
      return "flat_head";
    case AttentionDataflow::flat_rows:
      return "flat_rows";
    case AttentionDataflow::streaming:
      return "streaming";
    case AttentionDataflow::streaming_keys:
      return "streaming_keys";
    case AttentionDataflow::interleaved:
      return "interleaved";
  }
  return "unknown";
}

namespace {

template <class F>
void take(F& into, F from) noexcept {
  if (from != nullptr) into = from;
}

KernelTable overlay(KernelTable base, const KernelTable& level) noexcept {
  base.isa = level.isa;
  if (level.gemm.run != nullptr) base.gemm = level.gemm;
  if (level.attention.run != nullptr) base.attention = level.attention;
  take(base.layer_norm, level.layer_norm);
  take(base.activation, level.activation);
  take(base.softmax, level.softmax);
  take(base.l2_normalize, level.l2_normalize);
  take(base.add, level.add);
  take(base.gated, level.gated);
  take(base.embedding, level.embedding);
  take(base.weighted_mean, level.weighted_mean);
  take(base.max_rows, level.max_rows);
  take(base.widen, level.widen);
  take(base.resample_bytes, level.resample_bytes);
  take(base.transpose_bytes, level.transpose_bytes);
  if (level.probe.fma != nullptr) base.probe = level.probe;
  return base;
}

}  // namespace

const KernelTable& kernels_at(Isa isa) noexcept {
  static const std::array<KernelTable, kAllIsas.size()> tables = [] {
    const KernelTable baseline = kBaseline;
    const KernelTable avx2 = overlay(baseline, kAvx2);
    const KernelTable avx512 = overlay(avx2, kAvx512);
    return std::array{baseline, avx2, avx512};
  }();
  return tables[static_cast<std::size_t>(isa)];
}

}  // namespace tessera::kernels
