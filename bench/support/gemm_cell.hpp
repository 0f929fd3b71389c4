// SPDX-License-Identifier: Apache-2.0
//
// One cell of bench_gemm: C (M,N) = A (M,K) Wᵀ + bias by Tessera, in the nest that the planner
// chooses, and by oneDNN, on one thread. A and W of one precision, bias and C f32. Weights in cache
// (one copy) or in memory (copies in turn).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "bench/support/elements.hpp"
#include "runtime/base/error.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/execute/linear_onednn.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/linear.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/plan/plan.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::bench {

/// Bytes of the copies of a cold weight: more than the last-level cache where 1 GiB is.
inline Index cold_bytes() {
  return std::min(last_level_cache_bytes() * 5 / 4, Index{1} << 30);
}

/// A weight in one layout, `copies` times.
struct Copies {
  Copies(Index weight_bytes, bool cold)
      : elements((weight_bytes + 63) / 64 * 16),
        count(cold ? ceil_div(cold_bytes(), weight_bytes) : 1),
        block(elements * count) {}

  float* first() noexcept { return block.data(); }
  std::byte* first_bytes() noexcept { return reinterpret_cast<std::byte*>(block.data()); }
  /// Fills the others from the first.
  void replicate() {
    for (Index i = 1; i < count; ++i) {
      std::copy_n(block.data(), elements, block.data() + i * elements);
    }
  }
  /// The copy whose turn it is.
  const float* next() noexcept {
    at = at + 1 < count ? at + 1 : 0;
    return block.data() + at * elements;
  }

  Index elements, count, at = 0;
  LargeBuffer block;
};

class GemmCell {
 public:
  GemmCell(LinearShape shape, Precision precision, bool cold, Isa isa, const MachineRates& rates)
      : shape_(shape),
        kernels_(kernels::kernels_at(isa)),
        gemm_(kernels_.gemm[precision]),
        cold_(cold),
        lda_(activation_stride(shape.K, element_type(precision))),
        ldc_(activation_stride(shape.N)),
        a_(shape.M * lda_, precision, 1),
        w_(shape.N * shape.K, precision, 2),
        bias_(shape.N, Precision::f32, 3),
        c_(shape.M * ldc_),
        panels_(ceil_div(shape.N, gemm_.NR) * gemm_.panel_bytes(shape.K), cold) {
    const Index NR = gemm_.NR;
    for (Index p = 0; p * NR < shape.N; ++p) {
      gemm_.pack_panel({w_.from(p * NR * shape.K), w_.type(), shape.K,
                        std::min(NR, shape.N - p * NR), shape.K,
                        panels_.first_bytes() + p * gemm_.panel_bytes(shape.K)});
    }
    panels_.replicate();
    const Machine& facts = machine();
    plan_ = plan_linear({.shape = shape, .weights_stay_in_l3 = !cold, .precision = precision},
                        {.l1_bytes = facts.l1d.bytes,
                         .l2_bytes = facts.l2.bytes,
                         .l3_bytes = facts.l3.bytes,
                         .tile = tile_shapes(kernels_),
                         .threads = 1,
                         .rates = rates});
    onednn_ = opponent(precision);
    if (onednn_ == nullptr) return;
    const Index row_bytes = shape.K * size_of(a_.type());
    dense_a_ = LargeBuffer(ceil_div(shape.M * row_bytes, Index{sizeof(float)}));
    dense_c_ = LargeBuffer(shape.M * shape.N);
    for (Index i = 0; i < shape.M; ++i) {
      std::memcpy(reinterpret_cast<std::byte*>(dense_a_.data()) + i * row_bytes, a_.from(i * lda_),
                  static_cast<std::size_t>(row_bytes));
    }
    reordered_ = std::make_unique<Copies>(static_cast<Index>(onednn_->weight_bytes()), cold);
    onednn_->load(w_.from(0), shape.K, reordered_->first());
    reordered_->replicate();
  }

  void run_tessera() noexcept {
    execute::run_gemm({.gemm = gemm_,
                       .a = a_.from(0),
                       .lda = lda_,
                       .panels = panels_.next(),
                       .c = c_.data(),
                       .ldc = ldc_,
                       .N = shape_.N,
                       .K = shape_.K,
                       .bias = bias(),
                       .resident = !cold_},
                      plan_.chosen.nest, shape_.M);
  }
  void run_onednn() noexcept {
    onednn_->use(reordered_->next());
    onednn_->run({.a = dense_a_.data(),
                  .lda = shape_.K,
                  .c = dense_c_.data(),
                  .ldc = shape_.N,
                  .M = shape_.M},
                 kernels_);
  }
  [[nodiscard]] bool has_onednn() const noexcept { return onednn_ != nullptr; }

  /// 200 elements of C at random against double.
  [[nodiscard]] bool is_right() const {
    const auto [M, N, K] = shape_;
    test::Random random{11};
    for (int n = 0; n < 200; ++n) {
      const Index i = random.integer(0, M - 1), j = random.integer(0, N - 1);
      double sum = bias_[j];
      double magnitude = std::abs(sum);
      for (Index k = 0; k < K; ++k) {
        const double p = a_[i * lda_ + k] * w_[j * K + k];
        sum += p;
        magnitude += std::abs(p);
      }
      const double error = std::abs(static_cast<double>(c_.data()[i * ldc_ + j]) - sum);
      if (!(error <= test::gemm_tolerance(K, magnitude))) return false;
    }
    return true;
  }
  /// C is what oneDNN computed.
  void take_onednn_result() {
    for (Index i = 0; i < shape_.M; ++i) {
      std::copy_n(dense_c_.data() + i * shape_.N, shape_.N, c_.data() + i * ldc_);
    }
  }

  /// Bytes/s at which the weights stream past a loop that does nothing else: a few copies, the next
  /// in turn.
  double stream_rate() {
    const Index passes = ceil_div(Index{16} << 20, panels_.elements * Index{sizeof(float)});
    volatile float sink = 0.0F;
    const double start = thread_seconds();
    for (Index i = 0; i < passes; ++i) {
      sink = sink + kernels_.probe.read(panels_.next(), panels_.elements);
    }
    return static_cast<double>(passes * panels_.elements) * sizeof(float) /
           (thread_seconds() - start);
  }

  const LinearPlan& plan() const noexcept { return plan_; }
  double flop() const noexcept {
    return 2.0 * static_cast<double>(shape_.M) * static_cast<double>(shape_.N * shape_.K);
  }
  double weight_bytes() const noexcept {
    return static_cast<double>(shape_.N * shape_.K * size_of(w_.type()));
  }

 private:
  const float* bias() const noexcept { return static_cast<const float*>(bias_.from(0)); }

  /// Null where oneDNN has nothing but its reference loops, or no kernel of this precision at all.
  std::unique_ptr<execute::OneDnnLinear> opponent(Precision precision) const {
    if (!execute::OneDnnLinear::is_available()) return nullptr;
    const execute::OneDnnRows rows{shape_.M, shape_.K, shape_.N};
    try {
      auto linear =
          std::make_unique<execute::OneDnnLinear>(shape_.N, shape_.K, bias(), rows, precision);
      if (!linear->implementation(rows).starts_with("ref")) return linear;
    } catch (const Error&) {
      if (precision == Precision::f32) throw;
    }
    return nullptr;
  }

  LinearShape shape_;
  const kernels::KernelTable& kernels_;
  const kernels::Gemm& gemm_;
  bool cold_;
  Index lda_, ldc_;
  Elements a_;                     // (M,K), row stride lda
  Elements w_;                     // (N,K)
  Elements bias_;                  // (N)
  LargeBuffer c_;                  // (M,N), row stride ldc
  Copies panels_;                  // (⌈N/NR⌉, K, NR), packed
  LargeBuffer dense_a_, dense_c_;  // (M,K), (M,N) without gaps: what oneDNN is fastest with
  std::unique_ptr<Copies> reordered_;
  std::unique_ptr<execute::OneDnnLinear> onednn_;
  LinearPlan plan_;
};

}  // namespace tessera::bench
