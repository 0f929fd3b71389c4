// SPDX-License-Identifier: Apache-2.0
//
// MaxSim of one query with documents of T vectors each, on one thread:
//
//   max_sim_<store>/<level>/q:<rows of the query>/T:<rows of a document>/D:<width>/docs:
//
// Counters: GFLOP/s = 2·q·T·D a document; %roof = of the lower roof of the two, arithmetic (the FMA peak,
// probed just before) and reading the documents' bytes once at the bandwidth of where they lie (L2 or
// memory, probed at the start). Time is CPU time of the thread. Checked against double first.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "bench/support/checked.hpp"
#include "bench/support/machine_peaks.hpp"
#include "tessera/pipeline/max_sim.hpp"
#include "tests/support/random.hpp"

namespace tessera::bench {
namespace {

struct Shape {
  Index q, T, D, docs;
};

std::vector<float> unit_rows(Index rows, Index width, test::Random& random) {
  std::vector<float> out;
  for (Index r = 0; r < rows; ++r) {
    double sum = 0.0;
    for (Index k = 0; k < width; ++k) {
      out.push_back(random.uniform(-1.0F, 1.0F));
      sum += static_cast<double>(out.back()) * static_cast<double>(out.back());
    }
    for (auto x = out.end() - width; x != out.end(); ++x) *x /= static_cast<float>(std::sqrt(sum));
  }
  return out;
}

double defined(const std::vector<float>& query, const std::vector<float>& document, Index D) {
  double sum = 0.0;
  for (auto q = query.begin(); q != query.end(); q += D) {
    double best = -HUGE_VAL;
    for (auto d = document.begin(); d != document.end(); d += D) {
      double dot = 0.0;
      for (Index k = 0; k < D; ++k) dot += static_cast<double>(q[k]) * static_cast<double>(d[k]);
      best = std::max(best, dot);
    }
    sum += best;
  }
  return sum;
}

void bench_max_sim(benchmark::State& state, Shape s, VectorStore store, Isa isa, double bandwidth) {
  test::Random random{7};
  const std::vector<float> query = unit_rows(s.q, s.D, random);
  MaxSimIndex index(s.D, store);
  double expected = 0.0;
  for (Index d = 0; d < s.docs; ++d) {
    const std::vector<float> document = unit_rows(s.T, s.D, random);
    if (d == 0) expected = defined(query, document, s.D);
    index.add(document);
  }
  std::vector<float> scores(index.size());
  index.scores(query, isa, scores);
  // An element of int8 is off by 1/254 of the row's largest: of a product of unit rows less than this.
  const double most = store == VectorStore::int8 ? 0.01 : store == VectorStore::f16 ? 1e-3 : 1e-5;
  if (!(std::abs(static_cast<double>(scores[0]) - expected) <= most * static_cast<double>(s.q))) {
    skip_wrong(state);
    return;
  }
  const double peak = fma_peak(isa);
  const double start = thread_seconds();
  for (auto _ : state) index.scores(query, isa, scores);
  const double seconds = (thread_seconds() - start) / static_cast<double>(state.iterations());
  const double flop = 2.0 * static_cast<double>(s.q * s.T * s.D * s.docs);
  const double roof = std::max(flop / peak, static_cast<double>(index.bytes()) / bandwidth);
  state.counters["GFLOP/s"] = 1e-9 * flop / seconds;
  state.counters["peak"] = 1e-9 * peak;
  state.counters["%roof"] = 100.0 * roof / seconds;
  state.counters["docs/s"] = static_cast<double>(s.docs) / seconds;
}

void add_all() {
  constexpr std::pair<VectorStore, const char*> kStores[] = {
      {VectorStore::f32, "f32"}, {VectorStore::f16, "f16"}, {VectorStore::int8, "int8"}};
  for (const Isa isa : kAllIsas) {
    if (enable(isa) != 0) continue;
    const double l2 = l2_bandwidth(isa), memory = memory_bandwidth(isa);
    for (const auto& [store, name] : kStores) {
      for (const Shape s : {Shape{32, 180, 128, 1},
                            {32, 180, 128, 4000},
                            {32, 180, 96, 4000},
                            {13, 180, 128, 4000},
                            {32, 60, 128, 4000}}) {
        const std::string full = fmt::format("max_sim_{}/{}/q:{}/T:{}/D:{}/docs:{}", name,
                                             to_string(isa), s.q, s.T, s.D, s.docs);
        const double bandwidth = s.docs == 1 ? l2 : memory;
        benchmark::RegisterBenchmark(full.c_str(),
                                     [=, kept = store](benchmark::State& state) {
                                       bench_max_sim(state, s, kept, isa, bandwidth);
                                     })
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
  const Isa best = best_isa();
  benchmark::AddCustomContext("read_l2",
                              fmt::format("{:.1f} GB/s", bench::l2_bandwidth(best) * 1e-9));
  benchmark::AddCustomContext("read_memory",
                              fmt::format("{:.1f} GB/s", bench::memory_bandwidth(best) * 1e-9));
  bench::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  return tessera::bench::run_checked();
}
