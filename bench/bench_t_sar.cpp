// SPDX-License-Identifier: Apache-2.0
//
// What T-SAR is about: latency of GEMV and GEMM with ternary weights, C (M,N) = A (M,K) Wᵀ, on one thread.
// Beside it the same weights in int8, bf16 and fp32, and tables of sums in memory (bench/support/
// sum_tables.hpp, T-MAC's kind).
//
//   t_sar_<gemv|gemm>/<level>/M:/N:/K:[/cold]
//
// Each iteration runs a short batch of each, one after another; figures are medians over the iterations,
// ratios medians of the ratios within each. Every result is checked first: whole numbers bit for bit,
// floats against double. Time is CPU time of the thread. The rows of A are quantised before, as a session
// has it; tables are made in the time.
//
//   /cold   weights in memory: copies in turn, together larger than the last-level cache (1 GiB at most)
//
// Counters   us                        of ternary
//            int8, bf16, fp32, tables  how many times as long these take
//            onednn_int8               of oneDNN's product of s8, where the level has VNNI
//            GOP/s                     of ternary, 2·M·N·K
//
// T-SAR: Scheduling Ternary Weights on CPU In-Register Tables: 5.6 to 24.5 x (GEMM latency) and 1.1 to
// 86.2 x (GEMV) over memory tables, with instructions added to a simulated CPU; here it is as it is sold.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "bench/support/batches.hpp"
#include "bench/support/checked.hpp"
#include "bench/support/ternary_cell.hpp"

namespace tessera::bench {
namespace {

struct Layer {
  Index N, K;
};
constexpr Layer kLayers[] = {{256, 256}, {768, 768}, {2304, 768}, {3072, 768}, {768, 3072}};
constexpr Index kRows[] = {1, 2, 4, 8, 16, 32, 64, 128};
constexpr int kAlternations = 11;

/// One of those that compute the same.
struct Contender {
  const char* name;
  std::function<void()> run;
  Index runs = 1;
  std::vector<double> seconds{};
};

bool is_right(TernaryCell& cell) {
  for (const Precision p : kPrecisions) {
    if (!cell.has(p)) continue;
    cell.run(p);
    const bool right = is_integer(p) ? cell.is_exact() : cell.is_near(p == Precision::f32 ? 18 : 8);
    if (!right) return false;
  }
  if (cell.has_tables()) cell.run_tables();
  if (cell.has_tables() && !cell.is_exact()) return false;
  if (cell.has_onednn()) cell.run_onednn();
  return !cell.has_onednn() || cell.is_exact(false);
}

void bench_linear(benchmark::State& state, LinearShape shape, bool cold, Isa isa,
                  const MachineRates& rates) {
  TernaryCell cell(shape, cold, isa, rates);
  if (!is_right(cell)) return skip_wrong(state);
  std::vector<Contender> all;
  for (const auto& [p, name] : {std::pair{Precision::ternary, "ternary"},
                                {Precision::s8, "int8"},
                                {Precision::bf16, "bf16"},
                                {Precision::f32, "fp32"}}) {
    if (cell.has(p)) all.push_back({name, [&cell, kept = p] { cell.run(kept); }});
  }
  if (cell.has_tables()) all.push_back({"tables", [&cell] { cell.run_tables(); }});
  if (cell.has_onednn()) all.push_back({"onednn_int8", [&cell] { cell.run_onednn(); }});
  for (Contender& each : all) {
    each.runs = runs_per_batch(each.run);
  }
  for (auto _ : state) {
    for (Contender& each : all) each.seconds.push_back(seconds_of(each.runs, each.run));
  }
  const std::vector<double>& own = all.front().seconds;
  state.counters["us"] = 1e6 * median(own);
  state.counters["GOP/s"] = 1e-9 * cell.flop() / median(own);
  for (std::size_t c = 1; c < all.size(); ++c) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < own.size(); ++i) ratios.push_back(all[c].seconds[i] / own[i]);
    state.counters[all[c].name] = median(ratios);
  }
}

void add_all(Isa isa, const MachineRates& rates) {
  for (const bool cold : {false, true}) {
    for (const Layer layer : kLayers) {
      for (const Index M : kRows) {
        const std::string name =
            fmt::format("t_sar_{}/{}/M:{}/N:{}/K:{}{}", M == 1 ? "gemv" : "gemm", to_string(isa), M,
                        layer.N, layer.K, cold ? "/cold" : "");
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& state) {
                                       bench_linear(state, {M, layer.N, layer.K}, cold, isa, rates);
                                     })
            ->Iterations(kAlternations)
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera;
  const DefaultIsa level = default_isa();
  if (!level.isa) {
    fmt::print(stderr, "bench_t_sar: TESSERA_ISA is {}: {}\n", level.value, level.problem);
    return 1;
  }
  const Isa isa = *level.isa;
  if (kernels::kernels_at(isa).gemm[Precision::ternary].run == nullptr) {
    fmt::print(stderr, "bench_t_sar: {} packs ternary weights as int8, expected another level\n",
               to_string(isa));
    return 1;
  }
  const MachineRates rates = measure_rates(isa);
  benchmark::AddCustomContext("cpu", machine().cpu_name);
  benchmark::AddCustomContext("rates", describe(rates));
  bench::add_all(isa, rates);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  return tessera::bench::run_checked();
}
