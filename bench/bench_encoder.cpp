// SPDX-License-Identifier: Apache-2.0
//
// Whole encoders on random weights: token ids in, last hidden state out.
//
//   BM_Encoder/<isa>/<model>/batch:<S>/T:<T>/threads:<n>          fp32
//   BM_Encoder/<isa>/bf16/<model>/batch:<S>/T:<T>/threads:<n>     Precision::bf16
//
// Counters: GFLOP/s of useful work, 2·(parameters of the linears)·rows + 4·T²·H per layer and
// sequence; %peak, its share of the multiply-add rate (of the precision) of `n` threads measured in this process right before
// (1 thread: CPU time; more: wall time); model_l2_MB, what the plan moves into L2; what
// --tessera_meter adds (bench/support/meter.hpp). The result is compared with the baseline ISA's in
// fp32 before anything is timed: elements within 1e-3, in bf16 rows within a cosine of 0.9995.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>
#include <random>

#include "bench/support/checked.hpp"
#include "bench/support/machine_peaks.hpp"
#include "bench/support/meter.hpp"
#include "bench/support/random_checkpoint.hpp"
#include "models/package.hpp"
#include "runtime/session/session.hpp"

namespace tessera::bench {
namespace {

/// One model, written and loaded when it is first needed, for one ISA level at a time.
class Engine {
 public:
  explicit Engine(const BertSize& size) : size_(size) {}

  const BertSize& size() const { return size_; }

  std::shared_ptr<const Model> model(Isa isa, Precision precision) {
    if (!model_ || model_->isa() != isa || precision_ != precision) model_ = load(isa, precision);
    precision_ = precision;
    return model_;
  }
  std::shared_ptr<const Model> load(Isa isa, Precision precision) {
    if (!package_) {
      write_random_bert(directory_.path(), size_);
      package_ = models::open_package(directory_.path());
    }
    return Model::create(package_->program, package_->checkpoint,
                         {.isa = isa, .outputs = {"last_hidden_state"}, .precision = precision});
  }

  double flops(Index sequences, Index T) const {
    const double H = static_cast<double>(size_.hidden), I = static_cast<double>(size_.intermediate);
    const double rows = static_cast<double>(sequences * T);
    const double linears = 2 * rows * (4 * H * H + 2 * H * I);
    const double attention = 4 * rows * static_cast<double>(T) * H;
    return static_cast<double>(size_.layers) * (linears + attention);
  }

 private:
  BertSize size_;
  TemporaryDirectory directory_;
  std::optional<models::Package> package_;
  std::shared_ptr<const Model> model_;
  Precision precision_ = Precision::f32;  // of model_
};

struct Inputs {
  std::vector<std::int32_t> ids, offsets{0};
  Inputs(Index sequences, Index T, Index vocab) {
    std::mt19937 random(7);
    for (Index s = 0; s < sequences; ++s) {
      for (Index t = 0; t < T; ++t)
        ids.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(vocab)));
      offsets.push_back(static_cast<std::int32_t>(ids.size()));
    }
  }
  Batch batch() const { return {.ids = ids, .types = {}, .offsets = offsets}; }
};

/// How far this level's result is from the baseline's on one short sequence, in units of what is
/// right: elements in fp32, the angle of rows in bf16.
double difference_from_baseline(Engine& engine, Isa isa, Precision precision) {
  const Inputs inputs(1, 24, engine.size().vocab);
  const SessionOptions options{.max_rows = 24, .max_sequences = 1, .threads = 1, .outputs = {}};
  const auto got = Session::create(engine.model(isa, precision), options),
             expected = Session::create(engine.load(Isa::baseline, Precision::f32), options);
  got->run(inputs.batch());
  expected->run(inputs.batch());
  const TensorView<const float> a = got->output("last_hidden_state"),
                                b = expected->output("last_hidden_state");
  double worst = 0;
  for (Index i = 0; i < a.rows; ++i) {
    double xy = 0, xx = 0, yy = 0;
    for (std::size_t j = 0; j < static_cast<std::size_t>(a.cols); ++j) {
      const double x = static_cast<double>(a.row(i)[j]), y = static_cast<double>(b.row(i)[j]);
      if (precision == Precision::f32) worst = std::max(worst, std::abs(x - y) / 1e-3);
      xy += x * y, xx += x * x, yy += y * y;
    }
    if (precision != Precision::f32) worst = std::max(worst, (1 - xy / std::sqrt(xx * yy)) / 5e-4);
  }
  return worst;
}

void run(benchmark::State& state, Engine& engine, Isa isa, Precision precision, Index sequences,
         Index T, int threads) {
  if (const double worst = difference_from_baseline(engine, isa, precision); !(worst < 1)) {
    skip_wrong(state, fmt::format("differs from the baseline level by {} x what it may", worst));
    return;
  }
  const Inputs inputs(sequences, T, engine.size().vocab);
  const auto session = Session::create(
      engine.model(isa, precision),
      {.max_rows = sequences * T, .max_sequences = sequences, .threads = threads, .outputs = {}});
  session->run(inputs.batch());
  const double peak = fma_peak(isa, precision) * threads;
  for (auto _ : state) session->run(inputs.batch());
  const double flops = engine.flops(sequences, T);
  const auto rate = [&](double per_run) {
    return benchmark::Counter(per_run, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["GFLOP/s"] = rate(flops * 1e-9);
  state.counters["%peak"] = rate(flops / peak * 100);
  state.counters["peak_GFLOP/s"] = peak * 1e-9;
  state.counters["sequences/s"] = rate(static_cast<double>(sequences));
  state.counters["model_l2_MB"] =
      session->report(sequences * T, sequences).totals().l2_bytes * 1e-6;
  meter_session(state, *session, inputs.batch());
}

void add(const std::shared_ptr<Engine>& engine, Isa isa, Precision precision, Index sequences,
         Index T, int threads) {
  const std::string name = fmt::format("BM_Encoder/{}/{}{}/batch:{}/T:{}/threads:{}",
                                       to_string(isa), precision == Precision::f32 ? "" : "bf16/",
                                       engine->size().name, sequences, T, threads);
  auto* bench = benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    run(state, *engine, isa, precision, sequences, T, threads);
  });
  bench->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
  if (threads > 1) bench->UseRealTime();
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera;
  using namespace tessera::bench;
  if (!take_meter_flag(argc, argv)) return 1;
  for (const BertSize& size : {kBertBase, kMiniLmL6}) {
    const auto engine = std::make_shared<Engine>(size);
    const auto add_all = [&](Isa isa, Precision precision) {
      if (enable(isa) != 0) return;
      for (const int threads : {1, 2}) {
        for (const Index T : {16, 128, 512}) add(engine, isa, precision, 1, T, threads);
        for (const Index S : {8, 32}) add(engine, isa, precision, S, 128, threads);
      }
    };
    for (const Isa isa : {Isa::avx512, Isa::avx2}) add_all(isa, Precision::f32);
    for (const Isa isa : {Isa::amx_bf16, Isa::avx512_bf16, Isa::avx2})
      add_all(isa, Precision::bf16);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const int status = run_checked();
  benchmark::ClearRegisteredBenchmarks();
  return status;
}
