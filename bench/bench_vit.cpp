// SPDX-License-Identifier: Apache-2.0
//
// Whole image encoders on random weights, fp32: 8-bit pixels in, the states of all rows out, or the
// class row alone.
//
//   BM_Vit/<isa>/<model>/<last_hidden_state|embedding>/batch:<S>/threads:<n>
//
// Counters: GFLOP/s of useful work, 2·(parameters of the linears)·rows + 4·T²·H per layer and image
// and the patch embedding, less what the class row alone does not need (in the last layer W_o and
// the feed-forward of the other rows); %peak, its share of the FMA rate of `n` threads measured in
// this process right before (1 thread: CPU time; more: wall time). DINOv2 interpolates its
// positions in every run, as the reference does. The result is compared with the baseline ISA's
// before anything is timed.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>
#include <random>

#include "bench/support/checked.hpp"
#include "bench/support/machine_peaks.hpp"
#include "bench/support/random_checkpoint.hpp"
#include "bench/support/random_vision.hpp"
#include "models/package.hpp"
#include "runtime/session/session.hpp"

namespace tessera::bench {
namespace {

/// One model, written and loaded when it is first needed, for one ISA level at a time.
class Engine {
 public:
  explicit Engine(const VitSize& size) : size_(size) {}

  const VitSize& size() const { return size_; }

  std::shared_ptr<const Model> model(Isa isa, const std::string& output) {
    if (!model_ || model_->isa() != isa || model_->program().outputs[0].name != output) {
      model_ = load(isa, output);
    }
    return model_;
  }
  std::shared_ptr<const Model> load(Isa isa, const std::string& output) {
    if (!package_) {
      write_random_vit(directory_.path(), size_);
      package_ = models::open_package(directory_.path());
    }
    return Model::create(package_->program, package_->checkpoint,
                         {.isa = isa, .outputs = {output}});
  }

  double flops(Index images, const std::string& output) const {
    const auto real = [](Index n) { return static_cast<double>(n); };
    const double H = real(size_.hidden), T = real(size_.tokens()), P = real(size_.patch);
    const double linears = 2 * T * (4 * H * H + 2 * H * 4 * H);
    const double attention = 4 * T * T * H;
    const double patches = 2 * (T - real(size_.special())) * 3 * P * P * H;
    const double spared = output == "embedding" ? 2 * (T - 1) * 9 * H * H : 0.0;
    return real(images) * (real(size_.layers) * (linears + attention) + patches - spared);
  }

 private:
  VitSize size_;
  TemporaryDirectory directory_;
  std::optional<models::Package> package_;
  std::shared_ptr<const Model> model_;
};

struct Inputs {
  std::vector<std::uint8_t> pixels;
  std::vector<float> values;
  std::vector<Image> images;
  Inputs(Index count, Index side) : pixels(static_cast<std::size_t>(side * side * 3)) {
    std::mt19937 random(7);
    for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(random() >> 24);
    for (int i = 0; i < 3 * 256; ++i) values.push_back(static_cast<float>(i % 256) / 127.5F - 1.0F);
    images.assign(
        static_cast<std::size_t>(count),
        {.pixels = pixels.data(), .values = values.data(), .height = side, .width = side});
  }
};

std::unique_ptr<Session> session_for(const std::shared_ptr<const Model>& model, const VitSize& size,
                                     Index images, int threads) {
  return Session::create(model, {.max_rows = images * size.tokens(),
                                 .max_sequences = images,
                                 .threads = threads,
                                 .outputs = {}});
}

/// Largest difference of this level's result from the baseline's on one image.
double difference_from_baseline(Engine& engine, Isa isa, const std::string& output) {
  const Inputs inputs(1, engine.size().image);
  const auto got = session_for(engine.model(isa, output), engine.size(), 1, 1),
             expected = session_for(engine.load(Isa::baseline, output), engine.size(), 1, 1);
  got->run({.images = inputs.images});
  expected->run({.images = inputs.images});
  const auto a = got->output(output).row(0), b = expected->output(output).row(0);
  double worst = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    worst = std::max(worst, std::abs(static_cast<double>(a[j]) - static_cast<double>(b[j])));
  }
  return worst;
}

void run(benchmark::State& state, Engine& engine, Isa isa, const std::string& output, Index images,
         int threads) {
  if (const double worst = difference_from_baseline(engine, isa, output); !(worst < 1e-3)) {
    skip_wrong(state, fmt::format("differs from the baseline level by {}", worst));
    return;
  }
  const Inputs inputs(images, engine.size().image);
  const auto session = session_for(engine.model(isa, output), engine.size(), images, threads);
  const Batch batch{.images = inputs.images};
  session->run(batch);
  const double peak = fma_peak(isa) * threads;
  for (auto _ : state) session->run(batch);
  const double flops = engine.flops(images, output);
  const auto rate = [&](double per_run) {
    return benchmark::Counter(per_run, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["GFLOP/s"] = rate(flops * 1e-9);
  state.counters["%peak"] = rate(flops / peak * 100);
  state.counters["peak_GFLOP/s"] = peak * 1e-9;
  state.counters["images/s"] = rate(static_cast<double>(images));
}

void add(const std::shared_ptr<Engine>& engine, Isa isa, const std::string& output, Index images,
         int threads) {
  const std::string name = fmt::format("BM_Vit/{}/{}/{}/batch:{}/threads:{}", to_string(isa),
                                       engine->size().name, output, images, threads);
  auto* bench = benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    run(state, *engine, isa, output, images, threads);
  });
  bench->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
  if (threads > 1) bench->UseRealTime();
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  using namespace tessera;
  using namespace tessera::bench;
  for (const VitSize& size : {kVitBase, kVitLarge, kDinoSmall, kDino3Small}) {
    const auto engine = std::make_shared<Engine>(size);
    for (const Isa isa : {Isa::avx512, Isa::avx2}) {
      if (enable(isa) != 0) continue;
      for (const int threads : {1, 2}) {
        for (const char* output : {"last_hidden_state", "embedding"}) {
          add(engine, isa, output, 1, threads);
          if (size.layers == kVitBase.layers) add(engine, isa, output, 8, threads);
        }
      }
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const int status = run_checked();
  benchmark::ClearRegisteredBenchmarks();
  return status;
}
