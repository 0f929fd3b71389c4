// SPDX-License-Identifier: Apache-2.0
//
// The row-wise kernels on one thread, on (M,N) activations with row stride 16·odd:
//
//   <kernel>_f32/<level>/M:/N:
//
// Counters: GB/s = compulsory bytes (inputs once, output once) per second, cycles do not matter
// where this reaches the L2 or memory bandwidth of the header; Gelem/s for the functions, which are
// bound by arithmetic. Time is CPU time of the thread. The result is checked against the double
// reference first.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench/support/checked.hpp"
#include "bench/support/machine_peaks.hpp"
#include "kernels/kernel_table.hpp"
#include "tests/reference/activation.hpp"
#include "tests/reference/rowwise.hpp"
#include "tests/support/random.hpp"

namespace tessera::bench {
namespace {

using kernels::KernelTable;

struct Matrices {
  Matrices(Index M_, Index N_)
      : M{M_},
        N{N_},
        ld{((N_ + 15) / 16 | 1) * 16},
        x{M_ * ld},
        residual{M_ * ld},
        y{M_ * ld},
        gamma{N_},
        beta{N_} {
    test::Random random{5};
    for (LargeBuffer* b : {&x, &residual, &gamma, &beta}) {
      for (Index i = 0; i < b->size(); ++i) b->data()[i] = random.uniform(-3.0F, 3.0F);
    }
    for (std::int32_t i = 0; i < M; ++i) ids.push_back(static_cast<std::int32_t>((i * 7919) % M));
  }
  Index M, N, ld;
  LargeBuffer x, residual, y;     // (M,N), row stride ld
  LargeBuffer gamma, beta;        // (N)
  std::vector<std::int32_t> ids;  // (M) rows in scattered order
};

/// One kernel: how to run it, what row i should be, and the matrices it reads and writes.
struct Kernel {
  const char* name;
  double matrices;
  std::function<void(const KernelTable&, Matrices&)> run;
  std::function<reference::Bounded(const Matrices&, Index i)> row;
};

reference::Bounded activated(const Matrices& m, Index i, Activation act) {
  reference::Bounded y;
  for (Index j = 0; j < m.N; ++j) {
    const double x = static_cast<double>(m.x.data()[i * m.ld + j]);
    y.value.push_back(reference::activate(act, x));
    y.bound.push_back(5e-7 * std::max(std::abs(x), 1.0));  // tests/kernels/math_test.cpp is exact
  }
  return y;
}

Kernel activation(const char* name, Activation act) {
  return {name, 2,
          [act](const KernelTable& t, Matrices& m) {
            t.activation(act, m.x.data(), m.ld, m.y.data(), m.ld, m.M, m.N);
          },
          [act](const Matrices& m, Index i) { return activated(m, i, act); }};
}

reference::Bounded normalized(const Matrices& m, Index i, bool with_residual) {
  std::vector<double> z;  // (N)
  for (Index j = 0; j < m.N; ++j) {
    z.push_back(static_cast<double>(m.x.data()[i * m.ld + j]) +
                (with_residual ? static_cast<double>(m.residual.data()[i * m.ld + j]) : 0.0));
  }
  return reference::layer_norm(z, m.gamma.data(), m.beta.data(), 1e-12);
}

Kernel layer_norm(const char* name, bool with_residual) {
  return {name, with_residual ? 3.0 : 2.0,
          [with_residual](const KernelTable& t, Matrices& m) {
            t.layer_norm({.x = m.x.data(),
                          .ldx = m.ld,
                          .residual = with_residual ? m.residual.data() : nullptr,
                          .ldr = m.ld,
                          .gamma = m.gamma.data(),
                          .beta = m.beta.data(),
                          .eps = 1e-12F,
                          .y = m.y.data(),
                          .ldy = m.ld,
                          .M = m.M,
                          .N = m.N});
          },
          [with_residual](const Matrices& m, Index i) { return normalized(m, i, with_residual); }};
}

/// Gathered from x, read as a table (ids, ld) of full rows: x[ids] + residual[0 … M).
Kernel embedding() {
  return {"embedding", 3,
          [](const KernelTable& t, Matrices& m) {
            const kernels::EmbeddingTerm terms[] = {{m.x.data(), DType::f32, m.ids.data()},
                                                    {m.residual.data(), DType::f32, m.ids.data()}};
            t.embedding(terms, 2, m.y.data(), m.ld, m.M, m.N);
          },
          [](const Matrices& m, Index i) {
            reference::Bounded y;
            for (Index j = 0; j < m.N; ++j) {  // tables are dense: row stride N
              const Index at = m.ids[static_cast<std::size_t>(i)] * m.N + j;
              y.value.push_back(static_cast<double>(m.x.data()[at] + m.residual.data()[at]));
              y.bound.push_back(0.0);
            }
            return y;
          }};
}

std::vector<Kernel> all_kernels() {
  return {layer_norm("layer_norm", false),
          layer_norm("add_layer_norm", true),
          {"l2_normalize", 2,
           [](const KernelTable& t, Matrices& m) {
             t.l2_normalize(m.x.data(), m.ld, m.y.data(), m.ld, m.M, m.N, 1e-12F);
           },
           [](const Matrices& m, Index i) {
             return reference::l2_normalize(m.x.data() + i * m.ld, m.N, 1e-12);
           }},
          activation("gelu_erf", Activation::gelu_erf),
          activation("gelu_tanh", Activation::gelu_tanh),
          activation("gelu_quick", Activation::gelu_quick),
          embedding()};
}

void bench_kernel(benchmark::State& state, const Kernel& kernel, Isa isa, Index M, Index N) {
  const KernelTable& table = kernels::kernels_at(isa);
  Matrices m(M, N);
  kernel.run(table, m);
  for (Index i = 0; i < M; i += M / 5 + 1) {
    const reference::Bounded row = kernel.row(m, i);
    for (Index j = 0; j < N; ++j) {
      const auto at = static_cast<std::size_t>(j);
      if (!(std::abs(static_cast<double>(m.y.data()[i * m.ld + j]) - row.value[at]) <=
            row.bound[at])) {
        skip_wrong(state);
        return;
      }
    }
  }
  const double start = thread_seconds();
  for (auto _ : state) kernel.run(table, m);
  const double seconds = thread_seconds() - start;
  const double elements = static_cast<double>(M * N) * static_cast<double>(state.iterations());
  state.counters["GB/s"] = 4e-9 * kernel.matrices * elements / seconds;
  state.counters["Gelem/s"] = 1e-9 * elements / seconds;
}

void add_all() {
  for (const Isa isa : kAllIsas) {
    if (enable(isa) != 0) continue;
    for (const Kernel& kernel : all_kernels()) {
      for (const auto& [M, N] :
           {std::pair<Index, Index>{32, 384}, {128, 768}, {512, 768}, {128, 3072}}) {
        const std::string name =
            fmt::format("{}_f32/{}/M:{}/N:{}", kernel.name, to_string(isa), M, N);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=, rows = M, columns = N](benchmark::State& s) {
                                       bench_kernel(s, kernel, isa, rows, columns);
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
  bench::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  return tessera::bench::run_checked();
}
