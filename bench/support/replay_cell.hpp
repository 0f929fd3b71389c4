// SPDX-License-Identifier: Apache-2.0
//
// One linear, or one head-by-head attention, through the cache simulator: the executor's own walk
// over replay kernels, on addresses that nothing is stored at, laid out as a session's are.
#pragma once

#include <sys/mman.h>

#include <cstdlib>

#include "kernels/attention/blocks.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/meters/cache_simulator.hpp"
#include "runtime/meters/replay_kernels.hpp"
#include "runtime/plan/attention.hpp"
#include "runtime/plan/attention_layout.hpp"
#include "runtime/plan/linear.hpp"
#include "runtime/plan/memory_plan.hpp"

namespace tessera::bench {

/// Addresses without memory.
class Addresses {
 public:
  static constexpr std::size_t kBytes = std::size_t{1} << 38;
  Addresses() {
    void* p = mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) std::abort();
    begin_ = static_cast<std::byte*>(p);
  }
  ~Addresses() { munmap(begin_, kBytes); }
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;

  /// n floats, rounded up to 128 bytes as in a session.
  float* floats(Index n) noexcept {
    std::byte* at = begin_ + used_;
    used_ += (static_cast<std::size_t>(n) * sizeof(float) + 127) / 128 * 128;
    return reinterpret_cast<float*>(at);
  }

 private:
  std::byte* begin_ = nullptr;
  std::size_t used_ = 0;
};

/// What crossed each edge, the changed lines at the end included.
struct ReplayedBytes {
  EdgeLines at[3];
};

inline ReplayedBytes finish_replay(CacheSimulator& caches) {
  meters::replay_into(nullptr);
  caches.flush();
  ReplayedBytes result{};
  for (std::size_t level = 0; level < caches.levels(); ++level) {
    result.at[level] = caches.edge(level);
  }
  return result;
}

/// C (M,N) = A (M,K) Bᵀ + bias in `nest` on one thread, through empty caches.
inline ReplayedBytes replay_linear(const LinearShape& s, const LoopNest& nest, Isa isa,
                                   std::span<const SimulatedCache> levels,
                                   Precision precision = Precision::f32) {
  Addresses memory;
  const kernels::Gemm& gemm = meters::replay_kernels(isa).gemm[precision];
  const DType type = precision == Precision::f32    ? DType::f32
                     : precision == Precision::bf16 ? DType::bf16
                     : gemm.bits.a == 8             ? DType::s8
                                                    : DType::s16;
  const Index panels = ceil_div(s.N, gemm.NR), lda = activation_stride(s.K, type),
              ldc = activation_stride(s.N);
  const auto bytes = [&](Index n) { return memory.floats(ceil_div(n, Index{sizeof(float)})); };
  CacheSimulator caches(levels);
  meters::replay_into(&caches);
  const float* const a = bytes(s.M * lda * size_of(type));
  execute::run_gemm({.gemm = gemm,
                     .a = a,
                     .lda = lda,
                     .panels = bytes(panels * gemm.panel_bytes(s.K)),
                     .c = memory.floats(s.M * ldc),
                     .ldc = ldc,
                     .N = s.N,
                     .K = s.K,
                     .bias = memory.floats(s.N),
                     .row_scales = is_quantized(type) ? a + scale_offset(s.K, type) / 4 : nullptr,
                     .row_scale_step = lda * size_of(type) / Index{sizeof(float)}},
                    nest, s.M);
  return finish_replay(caches);
}

/// All heads of one sequence, one after another, through empty caches; QKV as a session has it.
inline ReplayedBytes replay_attention(const AttentionShape& s, kernels::AttentionDataflow dataflow,
                                      Isa isa, std::span<const SimulatedCache> levels,
                                      Precision precision = Precision::f32) {
  Addresses memory;
  const kernels::Attention& kernel = meters::replay_kernels(isa).attention[precision];
  const bool narrow = precision == Precision::bf16;
  const DType type = narrow ? DType::bf16 : DType::f32;
  const Index T = s.T, d = s.d, rows = rows_per_task(dataflow, T, kernel);
  const bool by_heads = T >= kByHeadsFrom && d % kernel.NR == 0;
  const Index ld = by_heads ? d : activation_stride(3 * s.heads * d, type);
  const Index head_stride = by_heads ? T * d : d, ldo = activation_stride(s.heads * d, type);
  const auto elements = [&](Index n) {
    return reinterpret_cast<std::byte*>(memory.floats(ceil_div(n * size_of(type), Index{4})));
  };
  const std::byte* qkv = elements(by_heads ? 3 * s.heads * T * d : T * ld);
  std::byte* o = elements(T * ldo);
  float* scratch = memory.floats(kernel.scratch_elements(dataflow, std::min(rows, T), T, d));
  CacheSimulator caches(levels);
  meters::replay_into(&caches);
  const Index blocks = kernels::count_blocks(T, rows);
  for (Index head = 0; head < s.heads; ++head) {
    for (Index n = 0; n < blocks; ++n) {
      const Index i0 = kernels::first_row(T, blocks, kernel.V, n),
                  i1 = kernels::first_row(T, blocks, kernel.V, n + 1);
      const auto at = [&](auto* p, Index element) { return p + element * size_of(type); };
      std::byte* const o_at = at(o, i0 * ldo + head * d);
      kernel.run({.q = at(qkv, i0 * ld + head * head_stride),
                  .ldq = ld,
                  .k = at(qkv, (s.heads + head) * head_stride),
                  .ldk = ld,
                  .v = at(qkv, (2 * s.heads + head) * head_stride),
                  .ldv = ld,
                  .o = narrow ? nullptr : reinterpret_cast<float*>(o_at),
                  .ldo = ldo,
                  .Tq = i1 - i0,
                  .Tk = T,
                  .d = d,
                  .scale = 1.0F,
                  .q_begin = i0,
                  .scratch = scratch,
                  .dataflow = dataflow,
                  .mask = s.mask,
                  .narrow = narrow ? reinterpret_cast<std::uint16_t*>(o_at) : nullptr,
                  .ldn = ldo});
    }
  }
  return finish_replay(caches);
}

}  // namespace tessera::bench
