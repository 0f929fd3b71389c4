// SPDX-License-Identifier: Apache-2.0
//
// Every loop order side by side on one linear and one thread: what the model predicts, what the
// clock says, and whether the planner's choice is the fastest.
//
//   loop_orders_<precision>/<level>/<model>/M:/N:/K:[/cold]   the evaluation set of docs/DATAFLOW.md
//
// Precision: of A and B, f32 or bf16; C is f32. /cold: weights from memory, copies in turn that are
// together larger than the last-level cache; a plan that knows it.
//
// One iteration runs each candidate once, in turn, so that a noisy machine is noisy for all of
// them; figures are medians over the iterations. Candidates: the planner's best blocks for each of
// the five orders; the textbook IS, WS and OS with a square tile of each matrix in the same buffer;
// and naive, one row and one panel at a time. Weights are where the candidate
// before left them.
//
// Counters: <order>_GFLOP/s and <order>_MB (predicted bytes into L2) for every candidate, 0 where
// the order has none; chosen = index of the planner's order; slower_% = time of the chosen one over
// the fastest, minus 1; x_bound = predicted bytes of the chosen one over the lower bound; naive_%
// = predicted reduction against naive (2MNK + 2MN words).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "bench/support/checked.hpp"
#include "bench/support/elements.hpp"
#include "bench/support/gemm_cell.hpp"
#include "kernels/kernel_table.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/linear.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/plan/plan.hpp"

namespace tessera::bench {
namespace {

struct Layer {
  const char* model;
  Index N, K;
  std::vector<Index> rows;
};

/// d_model, FF and lengths of docs/DATAFLOW.md, "Evaluation set"; QKV, output projection, FF1, FF2
/// of each model.
std::vector<Layer> evaluation_set() {
  struct Model {
    const char* name;
    Index hidden, inner;
    std::vector<Index> rows;
  };
  const std::vector<Model> models{
      {"BERT-small", 512, 2048, {128, 384, 512, 1024}},
      {"BERT-base", 768, 3072, {16, 32, 64, 128, 384, 512, 1024, 2048}},
      {"BERT-large", 1024, 4096, {16, 128, 512, 1024}},
      {"MiniLM", 384, 1536, {16, 32, 128, 512, 1024, 4096, 16384}},
      {"ViT-B", 768, 3072, {197}},
      {"ViT-L", 1024, 4096, {197, 257}},
      {"ViT-H", 1280, 5120, {197, 257}},
      {"XLM", 2048, 8192, {128}},
      {"Wav2Vec2-large", 1024, 4096, {115, 384, 1565}},
  };
  std::vector<Layer> layers;
  for (const Model& m : models) {
    layers.push_back({m.name, 3 * m.hidden, m.hidden, m.rows});
    layers.push_back({m.name, m.hidden, m.hidden, m.rows});
    layers.push_back({m.name, m.inner, m.hidden, m.rows});
    layers.push_back({m.name, m.hidden, m.inner, m.rows});
  }
  return layers;
}

struct Operands {
  Operands(const kernels::Gemm& gemm, Precision precision, LinearShape shape, bool is_cold)
      : s{shape},
        cold{is_cold},
        lda{activation_stride(s.K, element_type(precision))},
        ldc{activation_stride(s.N)},
        a{s.M * lda, precision, 1},
        panels{ceil_div(s.N, gemm.NR) * gemm.panel_bytes(s.K), is_cold},
        bias{s.N, Precision::f32, 3},
        c{s.M * ldc} {
    const Elements values{ceil_div(s.N, gemm.NR) * gemm.NR * s.K, precision, 2};
    std::memcpy(panels.first_bytes(), values.from(0),
                static_cast<std::size_t>(ceil_div(s.N, gemm.NR) * gemm.panel_bytes(s.K)));
    panels.replicate();
  }
  execute::GemmOperands operands(const kernels::Gemm& gemm) {
    return {.gemm = gemm,
            .a = a.from(0),
            .lda = lda,
            .panels = panels.first(),
            .c = c.data(),
            .ldc = ldc,
            .N = s.N,
            .K = s.K,
            .bias = static_cast<const float*>(bias.from(0)),
            .resident = !cold};
  }
  LinearShape s;
  bool cold;
  Index lda, ldc;
  Elements a;
  Copies panels;  // K is a multiple of every KR: panels have no padding along it
  Elements bias;
  LargeBuffer c;
};

struct Candidate {
  std::string name;
  LoopNest nest;
  double bytes = 0;
  std::vector<double> seconds{};
  double median() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

/// One row and one panel at a time.
void run_naive(const execute::GemmOperands& o, Index M) {
  for (Index i = 0; i < M; ++i) {
    for (Index p = 0; p < execute::panel_count(o); ++p) {
      execute::run_block(o, {}, {i, i + 1}, {p, p + 1});
    }
  }
}

void run(const execute::GemmOperands& o, const Candidate& c, Index M) {
  if (c.name == "naive") return run_naive(o, M);
  execute::run_gemm(o, c.nest, M);
}

/// Measures once per level and keeps it in the cache (measured_rates).
PlanMachine plan_machine(Isa isa) {
  const Machine& m = machine();
  return {.l1_bytes = m.l1d.bytes,
          .l2_bytes = m.l2.bytes,
          .l3_bytes = m.l3.bytes,
          .tile = tile_shapes(kernels::kernels_at(isa)),
          .threads = 1,
          .rates = measured_rates(m, isa)};
}

std::vector<Candidate> candidates(const LinearPlan& plan, const LinearTask& task,
                                  const PlanMachine& machine) {
  const LinearShape& s = task.shape;
  const TileShape tile = tile_of(task, machine);
  std::vector<Candidate> list;
  for (const auto& best : plan.best) {
    if (best) list.push_back({to_string(best->nest.order), best->nest, best->cost.l2_bytes()});
  }
  const double t = std::sqrt(machine.Z2() / (tile.bytes.a + tile.bytes.b + tile.bytes.c));
  const auto blocks = [t](Index extent, Index unit) {
    const auto count = static_cast<Index>(std::ceil(static_cast<double>(extent) / t));
    return std::clamp<Index>(count, 1, ceil_div(extent, unit));
  };
  const Index r = blocks(s.M, 1), c = blocks(s.N, tile.NR), k = blocks(s.K, tile.KR);
  list.push_back({"IS", {LoopOrder::is_os_b, r, 1, k}, plan.classical.is});
  list.push_back({"WS", {LoopOrder::ws_os_b, 1, c, k}, plan.classical.ws});
  list.push_back({"OS", {LoopOrder::os_2d, r, c, k}, plan.classical.os});
  if (s.M * s.N * s.K < Index{1} << 31) list.push_back({"naive", {}, plan.classical.naive});
  return list;
}

bool all_agree(Operands& x, const execute::GemmOperands& o, const std::vector<Candidate>& list) {
  std::vector<float> first;
  for (const Candidate& c : list) {
    std::fill_n(x.c.data(), x.c.size(), 0.0F);
    run(o, c, x.s.M);
    if (first.empty()) first.assign(x.c.data(), x.c.data() + x.c.size());
    if (std::memcmp(first.data(), x.c.data(), first.size() * sizeof(float)) != 0) return false;
  }
  return true;
}

void bench_orders(benchmark::State& state, Precision precision, Isa isa, LinearShape s, bool cold) {
  const kernels::Gemm& gemm = kernels::kernels_at(isa).gemm[precision];
  const PlanMachine machine = plan_machine(isa);
  const LinearTask task{.shape = s, .weights_stay_in_l3 = !cold, .precision = precision};
  const LinearPlan plan = plan_linear(task, machine);
  std::vector<Candidate> list = candidates(plan, task, machine);
  Operands x(gemm, precision, s, cold);
  execute::GemmOperands o = x.operands(gemm);
  if (!all_agree(x, o, list)) return skip_wrong(state);
  const double flops = 2.0 * static_cast<double>(s.M * s.N) * static_cast<double>(s.K);
  const auto repeats = static_cast<int>(std::max(1.0, 5e8 / flops));
  for (auto _ : state) {
    for (Candidate& c : list) {
      const double start = thread_seconds();
      for (int i = 0; i < repeats; ++i) {
        o.panels = x.panels.next();
        run(o, c, s.M);
      }
      c.seconds.push_back((thread_seconds() - start) / repeats);
    }
  }
  double fastest = 1e30, chosen = 0;
  for (const Candidate& c : list) {
    state.counters[c.name + "_GFLOP/s"] = flops / c.median() * 1e-9;
    state.counters[c.name + "_MB"] = c.bytes * 1e-6;
    fastest = std::min(fastest, c.median());
    if (c.nest == plan.chosen.nest && c.name == to_string(c.nest.order)) chosen = c.median();
  }
  state.counters["chosen"] = static_cast<double>(plan.chosen.nest.order);
  state.counters["slower_%"] = 100 * (chosen / fastest - 1);
  state.counters["x_bound"] = plan.chosen.cost.l2.bytes() / plan.bound_bytes;
  state.counters["naive_%"] = 100 * (1 - plan.chosen.cost.l2.bytes() / plan.classical.naive);
  state.counters["predicted_GFLOP/s"] = flops / plan.chosen.cost.seconds * 1e-9;
}

/// From memory: what users wait for, a few rows to a few sequences.
bool is_measured_cold(const Layer& layer, Index M) {
  const std::string_view model = layer.model;
  return (model == "BERT-base" || model == "MiniLM") && M <= 512;
}

void add_all(Precision precision) {
  for (const Isa isa : kAllIsas) {
    if (enable(isa) != 0) continue;
    for (const Layer& layer : evaluation_set()) {
      for (const Index M : layer.rows) {
        const LinearShape s{M, layer.N, layer.K};
        for (const bool cold : {false, true}) {
          if (cold && !is_measured_cold(layer, M)) continue;
          benchmark::RegisterBenchmark(
              fmt::format("loop_orders_{}/{}/{}/M:{}/N:{}/K:{}{}", to_string(precision),
                          to_string(isa), layer.model, s.M, s.N, s.K, cold ? "/cold" : "")
                  .c_str(),
              [=](benchmark::State& state) { bench_orders(state, precision, isa, s, cold); })
              ->UseRealTime()
              ->Iterations(7);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera;
  for (const Precision precision : bench::kFloats) bench::add_all(precision);
  benchmark::AddCustomContext("cpu", machine().cpu_name);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  return tessera::bench::run_checked();
}
