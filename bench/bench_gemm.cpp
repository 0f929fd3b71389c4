// SPDX-License-Identifier: Apache-2.0
//
// The linears of the encoders that people run, C (M,N) = A (M,K) Wᵀ + bias, on one thread: Tessera
// as a session runs it (planner, loop nest, micro-kernel) and oneDNN side by side.
//
//   gemm_<precision>/tessera_onednn/<level>/M:/N:/K:[/cold]    level: TESSERA_ISA, for both
//
// Precision: of A and W, f32 or bf16; bias and C are f32, for both. Where oneDNN has no kernel
// (bf16 below AVX-512) Tessera runs alone.
//
// Each iteration runs a short batch of the one and of the other, and the probes of the machine, so
// that clock and neighbours are the same for all; figures are medians over the iterations, ratios
// are medians of the ratios within each. Results are checked against double first. Time is CPU time
// of the thread.
//
//   hot     weights in cache: the same again and again; plan and kernel know it
//   /cold   weights in memory: copies in turn, together larger than the last-level cache (1 GiB at
//           most), as the layers of a large model are
//
// Counters   GFLOP/s, onednn_GFLOP/s, ratio     Tessera, oneDNN, Tessera : oneDNN
//            peak_%      of the multiply-add peak of that level and precision
//            bound_%     of min(that peak, rate at which these weights stream · FLOP per byte of
//                        them: M/2 in f32, M in bf16)
//            stream_GB/s that rate, by a pure read loop over the same copies
//            ema_l2_MB, ema_ratio   bytes into L2 by the model, and by the lower bound
//            what --tessera_meter=hardware adds (bench/support/meter.hpp), of Tessera
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "bench/support/batches.hpp"
#include "bench/support/checked.hpp"
#include "bench/support/gemm_cell.hpp"
#include "bench/support/meter.hpp"
#include "runtime/session/level.hpp"

namespace tessera::bench {
namespace {

struct Layer {
  Index N, K;
};

/// Attention, QKV, FF1, FF2 of MiniLM, BERT-base = ViT-B, BERT-large = ViT-L, ViT-H.
constexpr Layer kLayers[] = {{384, 384},   {1152, 384},  {1536, 384},  {384, 1536},
                             {768, 768},   {2304, 768},  {3072, 768},  {768, 3072},
                             {1024, 1024}, {3072, 1024}, {4096, 1024}, {1024, 4096},
                             {1280, 1280}, {3840, 1280}, {5120, 1280}, {1280, 5120}};
constexpr Index kHotRows[] = {1, 8, 32, 128, 512, 2048};
constexpr Index kColdRows[] = {1, 8, 16, 32, 64};

constexpr int kAlternations = 11;

/// Of the peak: below it the clock was still rising, above it a reading was disturbed.
double upper_quartile(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() * 3 / 4];
}

/// Whether both give what they should.
bool check(GemmCell& cell, benchmark::State& state) {
  cell.run_tessera();
  if (!cell.is_right()) {
    skip_wrong(state, "Tessera: wrong result");
    return false;
  }
  if (!cell.has_onednn()) return true;
  cell.run_onednn();
  cell.take_onednn_result();
  if (cell.is_right()) return true;
  skip_wrong(state, "oneDNN: wrong result");
  return false;
}

void bench_cell(benchmark::State& state, Precision precision, Isa isa, LinearShape shape, bool cold,
                const MachineRates& rates) {
  GemmCell cell(shape, precision, cold, isa, rates);
  if (!check(cell, state)) return;
  const auto tessera = [&] { cell.run_tessera(); };
  const auto onednn = [&] { cell.run_onednn(); };
  const Index ours = runs_per_batch(tessera);
  const Index theirs = cell.has_onednn() ? runs_per_batch(onednn) : 0;
  std::vector<double> seconds, onednn_seconds, ratios, peaks, streams;
  for (auto _ : state) {
    seconds.push_back(seconds_of(ours, tessera));
    if (theirs > 0) {
      onednn_seconds.push_back(seconds_of(theirs, onednn));
      ratios.push_back(onednn_seconds.back() / seconds.back());
    }
    peaks.push_back(fma_peak(isa, precision));
    streams.push_back(cell.stream_rate());
    state.SetIterationTime(seconds.back());
  }
  const double rate = cell.flop() / median(seconds), peak = upper_quartile(peaks);
  const double stream = median(streams);
  const double bound = std::min(peak, stream * cell.flop() / cell.weight_bytes());
  state.counters["GFLOP/s"] = rate * 1e-9;
  if (theirs > 0) {
    state.counters["onednn_GFLOP/s"] = cell.flop() / median(onednn_seconds) * 1e-9;
    state.counters["ratio"] = median(ratios);
  }
  state.counters["peak_GFLOP/s"] = peak * 1e-9;
  state.counters["peak_%"] = 100.0 * rate / peak;
  state.counters["bound_%"] = 100.0 * rate / bound;
  state.counters["stream_GB/s"] = stream * 1e-9;
  const LinearPlan& plan = cell.plan();
  state.counters["ema_l2_MB"] = plan.chosen.cost.l2_bytes() * 1e-6;
  state.counters["ema_ratio"] = plan.chosen.cost.l2_bytes() / plan.bound_bytes;
  state.SetLabel(to_string(plan.chosen.nest.order));
  count_op(state, tessera);
}

void add_all(Precision precision, Isa isa, const MachineRates& rates) {
  const auto add = [&](Index M, Layer layer, bool cold) {
    const LinearShape shape{M, layer.N, layer.K};
    const std::string name =
        fmt::format("gemm_{}/tessera_onednn/{}/M:{}/N:{}/K:{}{}", to_string(precision),
                    to_string(isa), M, layer.N, layer.K, cold ? "/cold" : "");
    benchmark::RegisterBenchmark(name.c_str(),
                                 [=, &rates](benchmark::State& state) {
                                   bench_cell(state, precision, isa, shape, cold, rates);
                                 })
        ->UseManualTime()
        ->Iterations(kAlternations);
  };
  for (const Layer layer : kLayers) {
    for (const Index M : kHotRows) add(M, layer, false);
    for (const Index M : kColdRows) add(M, layer, true);
  }
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera;
  if (!bench::take_meter_flag(argc, argv)) return 1;
  const DefaultIsa level = default_isa();
  if (!level.isa) {
    fmt::print(stderr, "bench_gemm: TESSERA_ISA is {}: {}\n", level.value, level.problem);
    return 1;
  }
  // fp32 and bf16 may have levels of their own: a matrix unit is asked for where bf16 is computed.
  const PerPrecision<Isa> isas{resolve_isa({}), resolve_isa({}, Precision::bf16)};
  const Isa isa = isas[Precision::bf16];
  // The opponent may use what we use. It reads this at its first primitive.
  setenv("DNNL_MAX_CPU_ISA",
         isa == Isa::baseline      ? "SSE41"
         : isa == Isa::avx2        ? "AVX2"
         : isa == Isa::avx512      ? "AVX512_CORE"
         : isa == Isa::avx512_bf16 ? "AVX512_CORE_BF16"
                                   : "AVX512_CORE_AMX",
         0);
  const PerPrecision<MachineRates> rates{measure_rates(isas[Precision::f32]),
                                         measure_rates(isas[Precision::bf16])};
  benchmark::AddCustomContext("cpu", machine().cpu_name);
  benchmark::AddCustomContext("rates", describe(rates[Precision::bf16]));
  benchmark::AddCustomContext("cold_MiB", fmt::format("{}", bench::cold_bytes() >> 20));
  benchmark::AddCustomContext("llc_MiB", fmt::format("{}", bench::last_level_cache_bytes() >> 20));
  for (const Precision precision : bench::kFloats) {
    bench::add_all(precision, isas[precision], rates[precision]);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  return bench::run_checked();
}
