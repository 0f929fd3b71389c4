// SPDX-License-Identifier: Apache-2.0
//
// Attention of one sequence (or a ragged batch) on one thread: Q, K and V are slices of one fused
// (T, 3·heads·d) activation matrix with row stride 16·odd, or lie by heads from 1024 rows on, as
// the QKV product writes them (runtime/plan/attention_layout.hpp).
//
//   attention_f32/<level>/<dataflow>/<mask>/T:/d:/        12 heads, the sweep over lengths
//   attention_f32/<level>/<dataflow>/<model>/T:/d:/       head shapes of FLAT and of ViT
//   attention_f32/<level>/streaming/contiguous/T:/d:/     by heads whatever T
//   attention_f32/<level>/ragged/                         a batch against the sum of its sequences
//   attention_bf16/<level>/<dataflow>/full/T:/d:/         levels with a bf16 family of their own
//
// Counters: GFLOP/s of the visible work (4·d per visible pair of query and key; exp is not
// counted), peak_% = share of the FMA peak of that level, measured before and after each run in
// this process, tiles = executed key tiles per head, L2_MB = bytes that the model says move
// into L2, scratch_KB per thread. Time is CPU time of the thread. Sampled rows of every head are
// checked against the double reference first.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "bench/support/checked.hpp"
#include "bench/support/machine_peaks.hpp"
#include "bench/support/meter.hpp"
#include "kernels/attention/blocks.hpp"
#include "kernels/kernel_table.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/attention.hpp"
#include "runtime/plan/attention_layout.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "tests/reference/attention.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/support/random.hpp"

namespace tessera::bench {
namespace {

using kernels::Attention;
using kernels::AttentionDataflow;
using kernels::AttentionMask;
using kernels::AttentionTask;

struct Case {
  std::string name;  ///< of the mask or the model
  Index T, d, heads;
  AttentionDataflow dataflow = AttentionDataflow::streaming;
  AttentionMask mask{};
  bool contiguous = false;  ///< QKV by heads, as a session has it from kByHeadsFrom on
  Precision precision = Precision::f32;
};

struct Sequence {
  Sequence(const Attention& kernel, const Case& c)
      : shape{c},
        rows{rows_per_task(c.dataflow, c.T, kernel)},
        ld{activation_stride(3 * c.heads * c.d)},
        ldo{activation_stride(c.heads * c.d)},
        qkv{c.T * ld},
        o{c.T * ldo},
        scratch{kernel.scratch_elements(c.dataflow, std::min(rows, c.T), c.T, c.d)} {
    shape.contiguous |= c.T >= kByHeadsFrom && c.d % kernel.NR == 0;
    test::Random random{3};
    for (Index i = 0; i < qkv.size(); ++i) qkv.data()[i] = random.uniform(-2.0F, 2.0F);
    if (!narrow()) return;
    for (Index i = 0; i < qkv.size(); ++i) {
      const std::uint16_t half = reference::to_bf16(qkv.data()[i]);
      halves.push_back(half);
      qkv.data()[i] = reference::widen_bf16(half);
    }
    narrow_o.resize(static_cast<std::size_t>(o.size()));
  }

  [[nodiscard]] bool narrow() const { return shape.precision == Precision::bf16; }

  /// What the kernel is called with; `wide`: what the reference reads.
  AttentionTask task(Index head, Index row, Index count, bool wide = false) {
    const Index T = shape.T, d = shape.d, heads = shape.heads;
    AttentionTask t{};
    const Index row_stride = shape.contiguous ? d : ld, head_stride = shape.contiguous ? T * d : d;
    t.q = qkv.data() + row * row_stride + head * head_stride;
    t.k = qkv.data() + (heads + head) * head_stride;
    t.v = qkv.data() + (2 * heads + head) * head_stride;
    t.ldq = t.ldk = t.ldv = row_stride;
    if (narrow() && !wide) {
      for (const void** p : {&t.q, &t.k, &t.v})
        *p = halves.data() + (static_cast<const float*>(*p) - qkv.data());
    }
    t.o = o.data() + row * ldo + head * d;
    t.ldo = ldo;
    if (narrow()) t.narrow = narrow_o.data() + row * ldo + head * d;
    t.ldn = ldo;
    t.Tq = count;
    t.Tk = T;
    t.d = d;
    t.scale = 1.0F / std::sqrt(static_cast<float>(d));
    t.q_begin = row;
    t.scratch = scratch.data();
    t.dataflow = shape.dataflow;
    t.mask = shape.mask;
    return t;
  }

  void run(const Attention& kernel) {
    const Index T = shape.T, blocks = kernels::count_blocks(T, rows);
    const kernels::Entered entered(kernel);
    for (Index head = 0; head < shape.heads; ++head) {
      for (Index n = 0; n < blocks; ++n) {
        const Index i0 = kernels::first_row(T, blocks, kernel.V, n),
                    i1 = kernels::first_row(T, blocks, kernel.V, n + 1);
        kernel.run(task(head, i0, i1 - i0));
      }
    }
  }

  [[nodiscard]] bool is_right() {
    for (Index head = 0; head<shape.heads; head += shape.T> 1024 ? 5 : 1) {
      for (Index i = head % 3; i < shape.T; i += shape.T / 3 + 1) {
        std::vector<double> value, bound;  // (d)
        const AttentionTask t = task(head, i, 1, true);
        reference::attention_row(t, 0, value, bound);
        for (Index n = 0; n < shape.d; ++n) {
          const auto at = static_cast<std::size_t>(n);
          const float got = narrow() ? reference::widen_bf16(t.narrow[n]) : t.o[n];
          const double rounding = narrow() ? 2.1 * 0x1p-8 * 2.0 : 0.0;  // of P and of O; |v| ≤ 2
          if (!(std::abs(static_cast<double>(got) - value[at]) <= bound[at] + rounding))
            return false;
        }
      }
    }
    return true;
  }

  /// Pairs of a query and a key that it sees, per head.
  [[nodiscard]] double visible_pairs() const {
    if (shape.mask == AttentionMask{}) return static_cast<double>(shape.T * shape.T);
    double pairs = 0;
    for (Index r = -shape.T + 1; r < shape.T; ++r) {
      if (reference::is_visible(shape.mask, r)) pairs += static_cast<double>(shape.T - std::abs(r));
    }
    return pairs;
  }

  Case shape;
  Index rows, ld, ldo;
  LargeBuffer qkv;                              // (T, 3·heads·d), row stride ld
  LargeBuffer o;                                // (T, heads·d), row stride ldo
  LargeBuffer scratch;                          // (scratch_elements)
  std::vector<std::uint16_t> halves, narrow_o;  // bf16: qkv and o
};

void bench_attention(benchmark::State& state, Isa isa, const Case& c) {
  const Attention& kernel = kernels::kernels_at(isa).attention[c.precision];
  Sequence x(kernel, c);
  x.run(kernel);
  if (!x.is_right()) {
    skip_wrong(state);
    return;
  }
  double peak = fma_peak(isa, c.precision);
  const double start = thread_seconds();
  for (auto _ : state) x.run(kernel);
  const double seconds = thread_seconds() - start;
  peak = std::max(peak, fma_peak(isa, c.precision));
  count_op(state, [&] { x.run(kernel); });
  const double flops = 4.0 * static_cast<double>(c.heads * c.d) * x.visible_pairs() *
                       static_cast<double>(state.iterations()) / seconds;
  state.counters["GFLOP/s"] = flops * 1e-9;
  state.counters["peak_%"] = 100.0 * flops / peak;
  const AttentionShape shape{.T = c.T, .d = c.d, .heads = c.heads, .mask = c.mask};
  const AttentionCost cost = attention_cost(c.dataflow, shape,
                                            {.l1_bytes = machine().l1d.bytes,
                                             .l2_bytes = machine().l2.bytes,
                                             .l3_bytes = machine().l3.bytes},
                                            kernel);
  state.counters["tiles"] = static_cast<double>(cost.counts.tiles);
  state.counters["L2_MB"] = cost.l2_bytes * 1e-6;
  state.counters["scratch_KB"] = static_cast<double>(x.scratch.size()) * 4.0 / 1024.0;
}

/// Lengths between p10 68, p50 314 and p90 465, all together and each for itself, in turns.
void bench_ragged(benchmark::State& state, Isa isa, Index d) {
  const Attention& kernel = kernels::kernels_at(isa).attention[Precision::f32];
  std::vector<Sequence> batch;
  for (const Index T : {40, 68, 120, 181, 240, 290, 314, 350, 388, 420, 465, 512})
    batch.emplace_back(kernel, Case{.name = "", .T = T, .d = d, .heads = 12});
  std::vector<double> alone(batch.size(), 1e9);
  double together = 1e9;
  for (auto _ : state) {
    const double start = thread_seconds();
    for (Sequence& x : batch) x.run(kernel);
    together = std::min(together, thread_seconds() - start);
    for (std::size_t n = 0; n < batch.size(); ++n) {
      for (int again = 0; again < 2; ++again) {
        const double begin = thread_seconds();
        batch[n].run(kernel);
        alone[n] = std::min(alone[n], thread_seconds() - begin);
      }
    }
  }
  double sum = 0;
  for (const double seconds : alone) sum += seconds;
  state.counters["batch_ms"] = together * 1e3;
  state.counters["sum_ms"] = sum * 1e3;
  state.counters["ratio"] = together / sum;
}

void add(Isa isa, const Case& c) {
  const std::string name = fmt::format("attention_{}/{}/{}/{}/T:{}/d:{}", to_string(c.precision),
                                       to_string(isa), to_string(c.dataflow), c.name, c.T, c.d);
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& s) { bench_attention(s, isa, c); })
      ->UseRealTime()
      ->MeasureProcessCPUTime();
}

constexpr AttentionDataflow kFlows[] = {
    AttentionDataflow::layerwise,      AttentionDataflow::flat_head,
    AttentionDataflow::flat_rows,      AttentionDataflow::streaming,
    AttentionDataflow::streaming_keys, AttentionDataflow::interleaved};

void add_all() {
  constexpr Index kAll = AttentionMask::kAll;
  for (const Isa isa : kAllIsas) {
    if (enable(isa) != 0) continue;
    if (isa >= Isa::avx512_bf16 &&
        kernels::kernels_at(isa).attention[Precision::bf16].run != nullptr) {
      for (const AttentionDataflow dataflow : kFlows) {
        for (const Index d : {32, 64, 80, 128}) {
          for (const Index T : {16, 64, 128, 197, 512, 2048, 8192}) {
            add(isa, {.name = "full",
                      .T = T,
                      .d = d,
                      .heads = T > 2048 ? 3 : 12,
                      .dataflow = dataflow,
                      .precision = Precision::bf16});
          }
        }
      }
    }
    for (const Index d : {32, 64, 80, 96, 128}) {
      for (const Index T : {16, 32, 128, 197, 512, 2048})
        add(isa, {.name = "full", .T = T, .d = d, .heads = 12});
    }
    for (const AttentionDataflow dataflow : kFlows) {
      for (const Index T : {128, 512, 1024, 2048, 4096, 8192, 16384}) {
        const bool whole =
            dataflow == AttentionDataflow::layerwise || dataflow == AttentionDataflow::flat_head;
        if (whole && T > 8192) continue;  // 2 GiB of scores
        if (dataflow == AttentionDataflow::streaming && (T == 128 || T == 512 || T == 2048))
          continue;
        add(isa,
            {.name = "full", .T = T, .d = 64, .heads = T > 2048 ? 3 : 12, .dataflow = dataflow});
      }
      // FLAT: BERT-S/B/L, T5, XLM, TrXL; ViT-B/L/H
      for (const Case& c :
           {Case{"BERT-S", 512, 64, 8}, Case{"BERT-L", 512, 64, 16}, Case{"T5-small", 512, 64, 8},
            Case{"XLM", 512, 128, 16}, Case{"TrXL", 512, 64, 16}, Case{"ViT-B", 197, 64, 12},
            Case{"ViT-L", 197, 64, 16}, Case{"ViT-L", 257, 64, 16}, Case{"ViT-H", 257, 80, 16}}) {
        Case with = c;
        with.dataflow = dataflow;
        add(isa, with);
      }
    }
    for (const auto& [name, mask] :
         {std::pair<const char*, AttentionMask>{"window128", {.left = 128, .right = 128}},
          {"window64", {.left = 64, .right = 64}},
          {"causal", {.left = kAll, .right = 0}},
          {"causal_window128", {.left = 128, .right = 0}},
          {"log_sparse", {.kind = kernels::MaskKind::log_sparse, .local = 13}},
          {"log_sparse_causal", {.kind = kernels::MaskKind::log_sparse_causal, .local = 13}},
          {"log_sparse_restart1024",
           {.kind = kernels::MaskKind::log_sparse_causal, .local = 10, .restart = 1024}}}) {
      for (const Index T : {512, 2048, 8192})
        add(isa, {.name = name, .T = T, .d = 64, .heads = T > 2048 ? 3 : 12, .mask = mask});
    }
    for (const Index d : {64, 128}) {
      for (const Index T : {128, 512, 2048, 8192})
        add(isa,
            {.name = "contiguous", .T = T, .d = d, .heads = T > 2048 ? 3 : 12, .contiguous = true});
    }
    benchmark::RegisterBenchmark(
        fmt::format("attention_f32/{}/ragged/d:64", to_string(isa)).c_str(),
        [=](benchmark::State& s) { bench_ragged(s, isa, 64); });
  }
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera;
  if (!bench::take_meter_flag(argc, argv)) return 1;
  for (const Isa isa : kAllIsas) {
    if (enable(isa) != 0) continue;
    benchmark::AddCustomContext(fmt::format("fma_peak_{}", to_string(isa)),
                                fmt::format("{:.1f} GFLOP/s", bench::fma_peak(isa) * 1e-9));
  }
  bench::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  return tessera::bench::run_checked();
}
