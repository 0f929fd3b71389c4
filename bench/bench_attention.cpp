// SPDX-License-Identifier: Apache-2.0
//
// Streaming attention of one sequence, 12 heads, on one thread: Q, K and V are slices of one fused
// (T, 3·12·d) activation matrix with row stride 16·odd, as the QKV product writes it.
//
//   attention_f32/<level>/Br:<rows>/T:/d:
//
// Counters: GFLOP/s of useful work (4·T·T·d per head; exp is not counted), peak_% = share of the
// FMA peak of that level, measured before and after each run in this process. Time is CPU time of
// the thread. Sampled rows of every head are checked against the double reference first.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/support/checked.hpp"
#include "bench/support/machine_peaks.hpp"
#include "kernels/kernel_table.hpp"
#include "tests/reference/attention.hpp"
#include "tests/support/random.hpp"

namespace tessera::bench {
namespace {

using kernels::Attention;
using kernels::AttentionTask;

constexpr Index kHeads = 12;  // BERT-base, MiniLM

struct Sequence {
  Sequence(const Attention& kernel, Index T_, Index d_)
      : T{T_},
        d{d_},
        ld{((3 * kHeads * d_ + 15) / 16 | 1) * 16},
        ldo{((kHeads * d_ + 15) / 16 | 1) * 16},
        qkv{T_ * ld},
        o{T_ * ldo},
        scratch{kernel.scratch_elements(kernels::AttentionDataflow::streaming, T_, T_, d_)} {
    test::Random random{3};
    for (Index i = 0; i < qkv.size(); ++i) qkv.data()[i] = random.uniform(-2.0F, 2.0F);
  }

  AttentionTask task(Index head, Index row, Index rows) {
    AttentionTask t{};
    t.q = qkv.data() + row * ld + head * d;
    t.ldq = ld;
    t.k = qkv.data() + (kHeads + head) * d;
    t.ldk = ld;
    t.v = qkv.data() + (2 * kHeads + head) * d;
    t.ldv = ld;
    t.o = o.data() + row * ldo + head * d;
    t.ldo = ldo;
    t.Tq = rows;
    t.Tk = T;
    t.d = d;
    t.scale = 1.0F / std::sqrt(static_cast<float>(d));
    t.scratch = scratch.data();
    return t;
  }

  void run(const Attention& kernel) {
    for (Index head = 0; head < kHeads; ++head) {
      for (Index i = 0; i < T; i += kernel.Br) {
        kernel.run(task(head, i, std::min(kernel.Br, T - i)));
      }
    }
  }

  [[nodiscard]] bool is_right() {
    for (Index head = 0; head < kHeads; ++head) {
      for (Index i = head % 3; i < T; i += T / 3 + 1) {
        std::vector<double> value, bound;  // (d)
        const AttentionTask t = task(head, i, 1);
        reference::attention_row(t, 0, value, bound);
        for (Index n = 0; n < d; ++n) {
          const auto at = static_cast<std::size_t>(n);
          if (!(std::abs(static_cast<double>(t.o[n]) - value[at]) <= bound[at])) return false;
        }
      }
    }
    return true;
  }

  Index T, d, ld, ldo;
  LargeBuffer qkv;      // (T, 3·12·d), row stride ld
  LargeBuffer o;        // (T, 12·d), row stride ldo
  LargeBuffer scratch;  // (scratch_elements(d))
};

void bench_attention(benchmark::State& state, Isa isa, Index T, Index d) {
  const Attention& kernel = kernels::kernels_at(isa).attention;
  Sequence x(kernel, T, d);
  x.run(kernel);
  if (!x.is_right()) {
    skip_wrong(state);
    return;
  }
  double peak = fma_peak(isa);
  const double start = thread_seconds();
  for (auto _ : state) x.run(kernel);
  const double seconds = thread_seconds() - start;
  peak = std::max(peak, fma_peak(isa));
  const double flops = 4.0 * static_cast<double>(kHeads * T * T * d) *
                       static_cast<double>(state.iterations()) / seconds;
  state.counters["GFLOP/s"] = flops * 1e-9;
  state.counters["peak_%"] = 100.0 * flops / peak;
}

void add_all() {
  for (const Isa isa : kAllIsas) {
    if (!cpu_supports(isa)) continue;
    for (const Index d : {32, 64, 80, 128}) {
      for (const Index T : {16, 32, 128, 197, 512, 2048}) {
        const std::string name = fmt::format("attention_f32/{}/Br:{}/T:{}/d:{}", to_string(isa),
                                             kernels::kernels_at(isa).attention.Br, T, d);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& s) { bench_attention(s, isa, T, d); })
            ->UseRealTime()
            ->MeasureProcessCPUTime();
      }
    }
  }
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera;
  for (const Isa isa : kAllIsas) {
    if (!cpu_supports(isa)) continue;
    benchmark::AddCustomContext(fmt::format("fma_peak_{}", to_string(isa)),
                                fmt::format("{:.1f} GFLOP/s", bench::fma_peak(isa) * 1e-9));
  }
  bench::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  return tessera::bench::run_checked();
}
