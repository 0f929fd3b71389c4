// SPDX-License-Identifier: Apache-2.0
//
// The f32 GEMM of one linear layer, C (M,N) = A (M,K) Wᵀ + bias, on one thread.
//
//   gemm_f32/<level>/<MR>x<NR>/<loop>/M:/N:/K:[/cold]      our micro-kernels under a macro loop
//   gemm_f32/onednn/any/M:/N:/K:[/cold]                    dnnl::matmul, weights reordered once
//
// Loops   panel_outer         for each panel of B: for each tile of rows          (B panel stays in
// L2)
//         panel_outer_nohint  the same without telling the kernel which panel comes next
//         panel_outer_kc:256  panel_outer per block of 256 of K, accumulating into C
//         row_outer           for each tile of rows: all panels                   (A tile stays in
//         L1) panel_outer_lda:K   rows of A without padding: where K is a power of two they collide
//         in L1
// Weights hot (the same again and again) or /cold (copies in turn, together larger than the
// last-level cache, as the layers of a model are). Rows are divided evenly: M = 32 is 11 + 11 + 10,
// not 14 + 14 + 4.
//
// Counters: GFLOP/s, peak_% = share of the FMA peak of that level, measured before and after each
// run in this process; weight_GB/s = bytes of weights per second. Time is CPU time of the thread.
// Results are checked against a double reference first.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/support/checked.hpp"
#include "bench/support/machine_peaks.hpp"
#include "kernels/kernel_table.hpp"
#include "runtime/execute/linear_onednn.hpp"
#include "tests/support/random.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::bench {
namespace {

using kernels::Gemm;
using kernels::GemmTile;
using test::Random;

struct Shape {
  Index M, N, K;
};

struct Layer {
  Index N, K;
};

/// The linears of MiniLM (384), BERT-base (768) and BERT-large (1024): attention, FF1, FF2.
constexpr Layer kLayers[] = {{384, 384},  {1536, 384},  {384, 1536},  {768, 768},  {3072, 768},
                             {768, 3072}, {1024, 1024}, {4096, 1024}, {1024, 4096}};
constexpr Index kRows[] = {1, 2, 4, 8, 16, 32, 128, 512, 2048};
constexpr Index kColdRows[] = {1, 4, 8, 16, 32, 128};

/// 16 · odd: consecutive rows start in different L1 sets.
constexpr Index padded_stride(Index n) {
  return ((n + 15) / 16 | 1) * 16;
}

/// A, weights and C of one layer. W (N,K) row-major is kept for the check.
struct Operands {
  Operands(Shape s, Index stride_a) : shape{s}, lda{stride_a}, ldc{padded_stride(s.N)} {
    Random random{7};
    a = LargeBuffer(s.M * lda);
    w = LargeBuffer(s.N * s.K);
    bias = LargeBuffer(s.N);
    c = LargeBuffer(s.M * ldc);
    for (Index i = 0; i < a.size(); ++i) a.data()[i] = random.uniform(-1.0F, 1.0F);
    for (Index i = 0; i < w.size(); ++i) w.data()[i] = random.uniform(-1.0F, 1.0F);
    for (Index i = 0; i < s.N; ++i) bias.data()[i] = random.uniform(-1.0F, 1.0F);
  }

  /// 200 elements at random against double.
  [[nodiscard]] bool is_right() const {
    Random random{11};
    for (int n = 0; n < 200; ++n) {
      const Index i = random.integer(0, shape.M - 1);
      const Index j = random.integer(0, shape.N - 1);
      double sum = static_cast<double>(bias.data()[j]);
      double magnitude = std::abs(sum);
      for (Index k = 0; k < shape.K; ++k) {
        const double p = static_cast<double>(a.data()[i * lda + k]) *
                         static_cast<double>(w.data()[j * shape.K + k]);
        sum += p;
        magnitude += std::abs(p);
      }
      const double error = std::abs(static_cast<double>(c.data()[i * ldc + j]) - sum);
      if (!(error <= test::gemm_tolerance(shape.K, magnitude))) return false;
    }
    return true;
  }

  Shape shape;
  Index lda, ldc;
  LargeBuffer a;     // (M,K), row stride lda
  LargeBuffer w;     // (N,K)
  LargeBuffer bias;  // (N)
  LargeBuffer c;     // (M,N), row stride ldc
};

Index copies_of(Index bytes, bool cold) {
  if (!cold) return 1;
  return (std::min(last_level_cache_bytes() * 5 / 4, Index{1} << 30) + bytes - 1) / bytes;
}

enum class Order { panel_outer, row_outer };
enum class Hint { none, next_panel };

/// KC = 0: all of K at once.
struct Loop {
  Order order;
  Hint hint;
  Index KC;
};

/// The macro loop.
void run_loop(const Gemm& gemm, Loop loop, Operands& x, const float* panels) {
  const auto [order, hint, KC] = loop;
  const auto [M, N, K] = x.shape;
  const Index NR = gemm.NR;
  const Index tiles = (M + gemm.MR - 1) / gemm.MR;
  const Index step = KC == 0 ? K : KC;
  for (Index k = 0; k < K; k += step) {
    GemmTile t{};
    t.lda = x.lda;
    t.ldb = K * NR;
    t.ldc = x.ldc;
    t.kc = std::min(step, K - k);
    t.accumulate = k > 0;
    const auto tile = [&](Index ir, Index j, Index nr) {  // tile ir of rows, columns [j, j+nr)
      const Index i = M * ir / tiles;
      t.mr = M * (ir + 1) / tiles - i;
      t.nr = nr;
      t.a = x.a.data() + i * x.lda + k;
      t.b = panels + j * K + k * NR;
      t.c = x.c.data() + i * x.ldc + j;
      t.bias = k == 0 ? x.bias.data() + j : nullptr;
      if (hint == Hint::next_panel && tiles > 1) {  // the share of this tile in the next panel
        t.ahead_n = (t.kc * NR + tiles - 1) / tiles;
        t.ahead = t.b + t.ldb + ir * t.ahead_n;
      }
      gemm.run(t);
    };
    if (order == Order::row_outer || tiles == 1) {
      for (Index ir = 0; ir < tiles; ++ir) tile(ir, 0, N);
    } else {
      for (Index j = 0; j < N; j += NR) {
        for (Index ir = 0; ir < tiles; ++ir) tile(ir, j, std::min(NR, N - j));
      }
    }
  }
}

/// Times body(copy) over the copies in turn, and sets the counters.
template <class Body>
void measure(benchmark::State& state, Isa isa, Shape s, Index copies, Body&& body) {
  double peak = fma_peak(isa);
  Index copy = 0;
  const double start = thread_seconds();
  for (auto _ : state) {
    body(copy);
    if (++copy == copies) copy = 0;
  }
  const double seconds = thread_seconds() - start;
  peak = std::max(peak, fma_peak(isa));
  const double runs = static_cast<double>(state.iterations());
  const double flops = 2.0 * static_cast<double>(s.M * s.N * s.K) * runs / seconds;
  state.counters["GFLOP/s"] = flops * 1e-9;
  state.counters["peak_%"] = 100.0 * flops / peak;
  state.counters["weight_GB/s"] = 4e-9 * static_cast<double>(s.N * s.K) * runs / seconds;
}

void bench_ours(benchmark::State& state, Isa isa, Loop loop, Shape s, Index lda, bool cold) {
  const Gemm& gemm = kernels::kernels_at(isa).gemm;
  Operands x(s, lda);
  const Index n_panels = (s.N + gemm.NR - 1) / gemm.NR;
  const Index elements = n_panels * s.K * gemm.NR;
  const Index copies = copies_of(elements * 4, cold);
  LargeBuffer panels(elements * copies);  // (copies, ⌈N/NR⌉, K, NR)
  for (Index c = 0; c < copies; ++c) {
    float* to = panels.data() + c * elements;
    if (c > 0) {
      std::copy_n(panels.data(), elements, to);
      continue;
    }
    for (Index p = 0; p < n_panels; ++p) {
      gemm.pack_panel(x.w.data() + p * gemm.NR * s.K, DType::f32, s.K,
                      std::min(gemm.NR, s.N - p * gemm.NR), s.K, to + p * s.K * gemm.NR);
    }
  }
  run_loop(gemm, loop, x, panels.data());
  if (!x.is_right()) {
    skip_wrong(state);
    return;
  }
  measure(state, isa, s, copies, [&](Index copy) {
    run_loop(gemm, loop, x, panels.data() + copy * elements);
    benchmark::ClobberMemory();
  });
}

void bench_onednn(benchmark::State& state, Shape s, bool cold) {
  Operands x(s, s.K);
  x.ldc = s.N;
  execute::OneDnnLinear linear(s.N, s.K, x.bias.data(), s.M);
  const auto bytes = static_cast<Index>(linear.weight_bytes());
  const Index copies = copies_of(bytes, cold);
  const Index elements = (bytes + 63) / 64 * 16;
  LargeBuffer block(elements * copies);
  linear.load(x.w.data(), s.K, block.data());
  for (Index i = 1; i < copies; ++i)
    std::copy_n(block.data(), elements, block.data() + i * elements);
  const auto run = [&](Index copy) {
    linear.use(block.data() + copy * elements);
    linear.run({.a = x.a.data(), .lda = x.lda, .c = x.c.data(), .ldc = x.ldc, .M = s.M},
               kernels::kernels_at(best_isa()));
  };
  run(0);
  if (!x.is_right()) {
    skip_wrong(state);
    return;
  }
  measure(state, best_isa(), s, copies, run);
}

void add(const std::string& name, std::function<void(benchmark::State&)> body) {
  benchmark::RegisterBenchmark(name.c_str(), std::move(body))
      ->UseRealTime()
      ->MeasureProcessCPUTime();
}

void add_ours(Isa isa, const std::string& name, Loop loop, Shape s, Index lda, bool cold) {
  const Gemm& gemm = kernels::kernels_at(isa).gemm;
  add(fmt::format("gemm_f32/{}/{}x{}/{}/M:{}/N:{}/K:{}{}", to_string(isa), gemm.MR, gemm.NR, name,
                  s.M, s.N, s.K, cold ? "/cold" : ""),
      [=](benchmark::State& state) { bench_ours(state, isa, loop, s, lda, cold); });
}

Index gemm_rows(Isa isa) {
  return kernels::kernels_at(isa).gemm.MR;
}

constexpr Loop kBest{Order::panel_outer, Hint::next_panel, 0};

void add_all() {
  for (const Isa isa : kAllIsas) {
    if (!cpu_supports(isa)) continue;
    for (const Layer layer : kLayers) {
      for (const Index M : kRows) {
        const Shape s{M, layer.N, layer.K};
        const Index lda = padded_stride(s.K);
        add_ours(isa, "panel_outer", kBest, s, lda, false);
        if (M <= gemm_rows(isa)) continue;
        add_ours(isa, "panel_outer_nohint", {Order::panel_outer, Hint::none, 0}, s, lda, false);
        add_ours(isa, "row_outer", {Order::row_outer, Hint::none, 0}, s, lda, false);
        for (const Index KC : {256, 384, 512}) {
          if (KC >= s.K) continue;
          add_ours(isa, fmt::format("panel_outer_kc:{}", KC),
                   {Order::panel_outer, Hint::next_panel, KC}, s, lda, false);
        }
        if (s.K == 1024) add_ours(isa, "panel_outer_lda:K", kBest, s, s.K, false);
      }
      for (const Index M : kColdRows) {
        const Shape s{M, layer.N, layer.K};
        add_ours(isa, "panel_outer", kBest, s, padded_stride(s.K), true);
        if (M <= gemm_rows(isa)) continue;
        add_ours(isa, "panel_outer_nohint", {Order::panel_outer, Hint::none, 0}, s,
                 padded_stride(s.K), true);
      }
    }
  }
  if (!execute::OneDnnLinear::is_available()) return;
  for (const Layer layer : kLayers) {
    const auto add_onednn = [&](Index M, bool cold) {
      const Shape s{M, layer.N, layer.K};
      add(fmt::format("gemm_f32/onednn/any/M:{}/N:{}/K:{}{}", s.M, s.N, s.K, cold ? "/cold" : ""),
          [=](benchmark::State& state) { bench_onednn(state, s, cold); });
    };
    for (const Index M : kRows) add_onednn(M, false);
    for (const Index M : kColdRows) add_onednn(M, true);
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
