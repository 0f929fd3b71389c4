// SPDX-License-Identifier: Apache-2.0
// Overlays the tables of the levels that a level contains: each lists only what it adds or beats
// (null = inherit), so "which code runs here?" is answered by reading arch/ upwards.
#include "kernels/kernel_table.hpp"

#include <array>

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
    case Activation::log1p_relu:
      return "log1p_relu";
    case Activation::log1p2_relu:
      return "log1p2_relu";
  }
  return "unknown";
}

const char* to_string(Precision precision) noexcept {
  switch (precision) {
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
    case Precision::s8:
      return "s8";
    case Precision::ternary:
      return "ternary";
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
    case DType::s8:
      return "s8";
    case DType::s16:
      return "s16";
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
  for (const Precision precision : kPrecisions) {
    if (level.gemm[precision].run != nullptr) base.gemm[precision] = level.gemm[precision];
    if (level.attention[precision].run != nullptr || level.attention[precision].is_absent)
      base.attention[precision] = level.attention[precision];
  }
  take(base.layer_norm, level.layer_norm);
  take(base.activation, level.activation);
  take(base.l2_normalize, level.l2_normalize);
  take(base.rotate_heads, level.rotate_heads);
  take(base.add, level.add);
  take(base.pick, level.pick);
  take(base.add_transposed, level.add_transposed);
  take(base.gated, level.gated);
  take(base.embedding, level.embedding);
  take(base.weighted_mean, level.weighted_mean);
  take(base.max_rows, level.max_rows);
  take(base.depthwise, level.depthwise);
  take(base.widen, level.widen);
  take(base.narrow, level.narrow);
  take(base.quantize, level.quantize);
  take(base.resample_bytes, level.resample_bytes);
  take(base.transpose_bytes, level.transpose_bytes);
  for (const Precision precision : kPrecisions) {
    take(base.probe.products[precision], level.probe.products[precision]);
  }
  take(base.probe.read, level.probe.read);
  take(base.probe.exp2, level.probe.exp2);
  return base;
}

}  // namespace

const KernelTable& kernels_at(Isa isa) noexcept {
  static const std::array<KernelTable, kAllIsas.size()> tables = [] {
    std::array<KernelTable, kAllIsas.size()> made{};
    for (const Level& level : levels()) {
      KernelTable& table = made[static_cast<std::size_t>(level.isa)];
      for (const Level& other : levels()) {
        if (contains(level, other)) table = overlay(table, *other.table);
      }
      table.isa = level.isa;
    }
    return made;
  }();
  return tables[static_cast<std::size_t>(isa)];
}

}  // namespace tessera::kernels
