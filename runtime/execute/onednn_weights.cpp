// SPDX-License-Identifier: Apache-2.0
#include "runtime/execute/onednn_weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <string>

#include "runtime/base/log.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/plan/memory_plan.hpp"

namespace tessera::execute {
namespace {

bool uses_onednn(const OpSchedule& op) {
  return std::any_of(op.nests.begin(), op.nests.end(), [](const NestRange& r) { return r.onednn; });
}

/// W (N,K) row-major out of its panels: W[n,k] = panel[k·NR + n mod NR].
std::vector<float> unpack(const LoadedParameter& weight, Index NR) {
  const Index N = weight.rows, K = weight.cols;
  std::vector<float> w(static_cast<std::size_t>(N * K));
  for (Index n = 0; n < N; ++n) {
    const float* panel = reinterpret_cast<const float*>(weight.panels) + n / NR * NR * K + n % NR;
    for (Index k = 0; k < K; ++k) w[static_cast<std::size_t>(n * K + k)] = panel[k * NR];
  }
  return w;
}

double seconds_of(auto&& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

std::unique_ptr<OneDnnWeights> OneDnnWeights::create(const Program& program,
                                                     std::span<const OpSchedule> schedule,
                                                     const PackedWeights& weights,
                                                     const kernels::KernelTable& kernels,
                                                     int workers) {
  if (std::none_of(schedule.begin(), schedule.end(), uses_onednn)) return nullptr;
  auto all = std::make_unique<OneDnnWeights>();
  all->linears_.resize(schedule.size());
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    if (!uses_onednn(schedule[i])) continue;
    const auto& op = std::get<LinearOp>(program.ops[i]);
    const LoadedParameter& weight = weights[op.weight];
    const float* bias = op.bias == kNone ? nullptr : weights[op.bias].data;
    Index rows = 1;  // the most rows that it is asked for decide the layout
    for (const NestRange& range : schedule[i].nests) {
      if (range.onednn) rows = std::min<Index>(range.last_rows, 512);
    }
    const OneDnnRows typical{
        .M = rows, .lda = activation_stride(weight.cols), .ldc = activation_stride(weight.rows)};
    Linear& linear = all->linears_[i];
    for (int w = 0; w < workers; ++w) {
      linear.by_worker.emplace_back(weight.rows, weight.cols, bias, typical);
    }
    linear.storage = Arena(linear.by_worker.front().weight_bytes(), "oneDNN weights");
    all->bytes_ += linear.storage.bytes();
    const std::vector<float> plain = unpack(weight, kernels.gemm[Precision::f32].NR);
    linear.by_worker.front().load(plain.data(), weight.cols, linear.storage.floats(0));
    for (OneDnnLinear& other : linear.by_worker) other.use(linear.storage.floats(0));
  }
  return all;
}

std::size_t OneDnnWeights::most_bytes(const Program& program) {
  std::size_t bytes = 0;
  for (const Op& op : program.ops) {
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr || linear->first_row) continue;
    const Parameter& weight = program.parameters[static_cast<std::size_t>(linear->weight)];
    // oneDNN pads rows and columns to blocks of at most 64.
    bytes += static_cast<std::size_t>((weight.rows + 64) * (weight.cols + 64)) * sizeof(float);
  }
  return bytes;
}

bool OneDnnWeights::run(std::size_t i, Index piece, const OneDnnCall& call,
                        const kernels::KernelTable& kernels) noexcept {
  OneDnnLinear& linear = linears_[i].by_worker[static_cast<std::size_t>(piece)];
  return OneDnnLinear::supports(call) && linear.run(call, kernels);
}

namespace {

double onednn_seconds_over_ours(const LinearShape& s, const LoopNest& nest,
                                const kernels::KernelTable& kernels) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  const kernels::Gemm& gemm = kernels.gemm[Precision::f32];
  const Index NR = gemm.NR, lda = activation_stride(s.K), ldc = activation_stride(s.N);
  const auto size = [](Index n) { return static_cast<std::size_t>(n); };
  std::vector<float> a(size(s.M * lda), 0.5F), c(size(s.M * ldc)), w(size(s.N * s.K), 0.25F),
      panels(size(ceil_div(s.N, NR) * NR * s.K), 0.25F), bias(size(s.N), 1.0F);
  OneDnnLinear onednn(s.N, s.K, bias.data(), {.M = s.M, .lda = lda, .ldc = ldc});
  const Arena storage(onednn.weight_bytes(), "oneDNN weights");
  onednn.load(w.data(), s.K, storage.floats(0));
  const auto theirs = [&] {
    return onednn.run({.a = a.data(), .lda = lda, .c = c.data(), .ldc = ldc, .M = s.M}, kernels);
  };
  const auto ours = [&] {
    run_gemm({.gemm = gemm,
              .a = a.data(),
              .lda = lda,
              .panels = panels.data(),
              .c = c.data(),
              .ldc = ldc,
              .N = s.N,
              .K = s.K,
              .bias = bias.data(),
              .resident = true},
             nest, s.M);
  };
  if (!theirs()) return kNever;
  ours();
  std::vector<double> their_seconds, our_seconds;
  for (int round = 0; round < 5; ++round) {
    their_seconds.push_back(seconds_of(theirs));
    our_seconds.push_back(seconds_of(ours));
  }
  return median(their_seconds) / median(our_seconds);
}

}  // namespace

std::function<double(const LinearShape&, const LoopNest&)> onednn_measurement(
    const kernels::KernelTable& kernels) {
  static std::atomic<bool> is_said{false};  // every plan asks
  std::string why;
  if (!OneDnnLinear::is_available(&why)) {
    if (!is_said.exchange(true)) {
      log(LogLevel::warning, fmt::format("oneDNN was allowed, but {}; own linears run", why));
    }
    return {};
  }
  return [&kernels](const LinearShape& shape, const LoopNest& nest) {
    return onednn_seconds_over_ours(shape, nest, kernels);
  };
}

}  // namespace tessera::execute
