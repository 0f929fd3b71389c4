// SPDX-License-Identifier: Apache-2.0
//
// One linear with ternary weights, C (M,N) = A (M,K) Wᵀ, in every form that computes it here: panels of
// ternary, int8, bf16 and fp32, each in the nest that the planner chooses, tables of sums in memory, and
// oneDNN's int8.
// Weights in cache (one copy) or in memory (copies in turn).
#pragma once

#include <cmath>
#include <cstring>
#include <memory>
#include <optional>

#include "bench/support/gemm_cell.hpp"
#include "bench/support/sum_tables.hpp"
#ifdef TESSERA_BENCH_ONEDNN
#include "bench/support/onednn_whole.hpp"
#endif

namespace tessera::bench {

class TernaryCell {
 public:
  TernaryCell(LinearShape shape, bool cold, Isa isa, const MachineRates& rates)
      : shape_(shape), cold_(cold), kernels_(kernels::kernels_at(isa)), c_(shape.M * shape.N) {
    const auto [M, N, K] = shape;
    test::Random random{3};
    for (Index i = 0; i < N * K; ++i) {
      w_.push_back(static_cast<std::int8_t>(random.integer(-1, 1)));
      floats_.push_back(static_cast<float>(w_.back()) * kScale);
    }
    scales_.assign(static_cast<std::size_t>(N), kScale);
    for (Index i = 0; i < M * K; ++i) a_.push_back(random.uniform(-1.0F, 1.0F));
    for (const Precision p : kPrecisions) {
      if (kernels_.gemm[p].run != nullptr) forms_[p].emplace(form(p, rates));
    }
    quantize();
#ifdef TESSERA_BENCH_ONEDNN
    if (contains(level_of(isa), level_of(Isa::avx512_vnni))) {
      onednn_ = std::make_unique<OneDnnWhole>(shape, w_.data(), scales_, cold);
    }
#endif
    if (!contains(level_of(isa), level_of(Isa::avx512))) return;  // tables are written for it
    tables_.emplace(N, K);
    table_weights_ = std::make_unique<Copies>(tables_->bytes(), cold);
    tables_->pack(w_.data(), K, table_weights_->first_bytes());
    table_weights_->replicate();
    sums_.resize(static_cast<std::size_t>(N));
  }

  bool has(Precision p) const noexcept {
    return forms_[p].has_value();
  }
  bool has_tables() const noexcept {
    return tables_.has_value();
  }

  void run(Precision p) {
    Form& f = *forms_[p];
    const Index lda_bytes = f.lda * f.element;
    execute::run_gemm({.gemm = kernels_.gemm[p],
                       .a = f.a.data(),
                       .lda = f.lda,
                       .panels = f.panels->next(),
                       .c = c_.data(),
                       .ldc = shape_.N,
                       .N = shape_.N,
                       .K = shape_.K,
                       .resident = !cold_,
                       .row_scales = is_integer(p) ? scale_of(f, 0) : nullptr,
                       .row_scale_step = lda_bytes / Index{sizeof(float)}},
                      f.nest, shape_.M);
  }
  void run_tables() {
    const auto* const weights = reinterpret_cast<const std::byte*>(table_weights_->next());
    for (Index i = 0; i < shape_.M; ++i) {
      tables_->run(numbers_.data() + i * shape_.K, shape_.K, weights, sums_.data());
      float* const c = c_.data() + i * shape_.N;
      const float scale = row_scales_[static_cast<std::size_t>(i)] * kScale;
      for (Index j = 0; j < shape_.N; ++j) {
        c[j] = static_cast<float>(sums_[static_cast<std::size_t>(j)]) * scale;
      }
    }
  }

#ifdef TESSERA_BENCH_ONEDNN
  bool has_onednn() const noexcept {
    return onednn_ != nullptr;
  }
  /// Without the scale of each row.
  void run_onednn() {
    onednn_->run(numbers_.data(), c_.data());
  }
#else
  static bool has_onednn() noexcept {
    return false;
  }
  void run_onednn() noexcept {}
#endif

  /// C of whole numbers, bit for bit.
  bool is_exact(bool has_row_scales = true) const {
    return all([&](Index i, Index j) {
      std::int64_t sum = 0;
      for (Index k = 0; k < shape_.K; ++k) sum += numbers_[at(i, k)] * w_[at(j, k)];
      const float row = has_row_scales ? row_scales_[static_cast<std::size_t>(i)] : 1.0F;
      return c_.data()[i * shape_.N + j] == static_cast<float>(sum) * (row * kScale);
    });
  }
  /// C of floats that have `bits` of a significand.
  bool is_near(int bits) const {
    return all([&](Index i, Index j) {
      double sum = 0, size = 0;
      for (Index k = 0; k < shape_.K; ++k) {
        const double p = static_cast<double>(a_[at(i, k)]) * static_cast<double>(floats_[at(j, k)]);
        sum += p, size += std::abs(p);
      }
      return std::abs(static_cast<double>(c_.data()[i * shape_.N + j]) - sum) <=
             size * std::ldexp(4.0, -bits);
    });
  }
  double flop() const noexcept {
    return 2.0 * static_cast<double>(shape_.M) * static_cast<double>(shape_.N * shape_.K);
  }

 private:
  static constexpr float kScale = 0.02F;
  struct Form {
    std::vector<float> a;  // rows of any type
    Index lda = 0, element = 0;
    std::unique_ptr<Copies> panels;
    LoopNest nest{};
  };

  std::size_t at(Index row, Index k) const noexcept {
    return static_cast<std::size_t>(row * shape_.K + k);
  }
  const float* scale_of(const Form& f, Index i) const noexcept {
    const DType type = f.element == 1 ? DType::s8 : DType::s16;
    return reinterpret_cast<const float*>(reinterpret_cast<const char*>(f.a.data()) +
                                          i * f.lda * f.element + scale_offset(shape_.K, type));
  }
  template <class Right>
  bool all(Right&& right) const {
    test::Random random{11};
    for (int n = 0; n < 200; ++n) {
      if (!right(random.integer(0, shape_.M - 1), random.integer(0, shape_.N - 1))) return false;
    }
    return true;
  }

  Form form(Precision p, const MachineRates& rates) {
    const auto [M, N, K] = shape_;
    const kernels::Gemm& gemm = kernels_.gemm[p];
    Form f;
    f.element = gemm.bits.a / 8;
    const DType type = p == Precision::f32    ? DType::f32
                       : p == Precision::bf16 ? DType::bf16
                       : f.element == 1       ? DType::s8
                                              : DType::s16;
    f.lda = activation_stride(K, type);
    f.a.resize(static_cast<std::size_t>((M + gemm.rows_read) * f.lda * f.element / 4 + 1));
    auto* const rows = reinterpret_cast<std::byte*>(f.a.data());
    if (is_integer(p)) {
      kernels_.quantize({.x = a_.data(),
                         .type = DType::f32,
                         .ldx = K,
                         .y = rows,
                         .y_bytes = f.lda * f.element,
                         .M = M,
                         .N = K});
    } else if (p == Precision::bf16) {
      kernels_.narrow(a_.data(), K, reinterpret_cast<std::uint16_t*>(rows), f.lda, M, K);
    } else {
      for (Index i = 0; i < M; ++i) std::copy_n(a_.data() + i * K, K, f.a.data() + i * f.lda);
    }
    f.panels = std::make_unique<Copies>(ceil_div(N, gemm.NR) * gemm.panel_bytes(K), cold_);
    for (Index n = 0; n < N; n += gemm.NR) {
      const bool whole = is_integer(p);
      gemm.pack_panel(
          {.w = whole ? static_cast<const void*>(w_.data() + n * K) : floats_.data() + n * K,
           .type = whole ? DType::s8 : DType::f32,
           .ldw = K,
           .nr = std::min(gemm.NR, N - n),
           .K = K,
           .panel = f.panels->first_bytes() + n / gemm.NR * gemm.panel_bytes(K),
           .scales = scales_.data() + n});
    }
    f.panels->replicate();
    const Machine& facts = machine();
    f.nest = plan_linear({.shape = shape_, .weights_stay_in_l3 = !cold_, .precision = p},
                         {.l1_bytes = facts.l1d.bytes,
                          .l2_bytes = facts.l2.bytes,
                          .l3_bytes = facts.l3.bytes,
                          .tile = tile_shapes(kernels_),
                          .threads = 1,
                          .rates = rates})
                 .chosen.nest;
    return f;
  }
  /// The numbers of A, for the tables and the check.
  void quantize() {
    for (Index i = 0; i < shape_.M; ++i) {
      const float* const row = a_.data() + i * shape_.K;
      float most = 0;
      for (Index k = 0; k < shape_.K; ++k) most = std::max(most, std::abs(row[k]));
      row_scales_.push_back(most / 127.0F);
      for (Index k = 0; k < shape_.K; ++k) {
        numbers_.push_back(static_cast<std::int8_t>(std::nearbyint(row[k] * (127.0F / most))));
      }
    }
  }

  LinearShape shape_;
  bool cold_;
  const kernels::KernelTable& kernels_;
  std::vector<std::int8_t> w_, numbers_;
  std::vector<float> floats_, scales_, a_, row_scales_;
  PerPrecision<std::optional<Form>> forms_;
  std::optional<SumTables> tables_;
  std::unique_ptr<Copies> table_weights_;
  std::vector<std::int32_t> sums_;
#ifdef TESSERA_BENCH_ONEDNN
  std::unique_ptr<OneDnnWhole> onednn_;
#endif
  LargeBuffer c_;
};

}  // namespace tessera::bench
