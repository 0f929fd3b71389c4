// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/replay_kernels.hpp"

#include <array>

#include "kernels/attention/layout.hpp"
#include "runtime/meters/replay_attention.hpp"
#include "runtime/meters/replay_touch.hpp"

namespace tessera::meters {
namespace {

using kernels::EmbeddingTerm;
using kernels::GemmTile;
using kernels::KernelTable;
using kernels::LayerNormRows;

constinit thread_local CacheSimulator* target = nullptr;

constexpr Index kLineFloats = kLineBytes / 4;

/// body(j, n) for pieces of at most a line.
template <class Body>
void by_lines(Index N, Body&& body) {
  for (Index j = 0; j < N; j += kLineFloats) body(j, std::min(kLineFloats, N - j));
}

// ---- GEMM ---------------------------------------------------------------------------------------

/// As kernels/gemm/ukernel.inl.hpp: panels_per_pass, full_tile, finish_tile, ragged_tile.
class GemmTouch {
 public:
  GemmTouch(const GemmTile& t, const kernels::Gemm& kernel, Index V, Touch touch) noexcept
      : t_(t), touch_(touch), NR_(kernel.NR), KR_(kernel.KR) {
    const Index NV = NR_ / V, registers = V == 16 ? 32 : 16;
    while (t.mr * NV * P_ < 10 && t.mr * NV * 2 * P_ <= registers * 3 / 4 && P_ < 4) P_ *= 2;
  }

  void run() noexcept {
    // (mr, P·NR): the result before it is finished. At one place, as the kernel's stack frame is;
    // AddressSanitizer gives a frame new addresses in each call.
    alignas(64) static thread_local float stack[512];
    const bool finish =
        t_.activation != Activation::none || t_.residual != nullptr || t_.narrow != nullptr;
    Index j = 0;
    const auto pass = [&](Index panels) {
      const Index n = panels * NR_;
      start(t_.accumulate ? t_.c + j : nullptr, t_.ldc, j, n);
      product(j, panels);
      touch_.write_rows(finish ? stack : t_.c + j, finish ? n : t_.ldc, t_.mr, n);
      if (finish) finish_rows(stack, n, j, n);
      j += n;
    };
    while (P_ > 1 && t_.nr - j >= P_ * NR_) pass(P_);
    while (t_.nr - j >= NR_) pass(1);
    if (j == t_.nr) return;
    const Index nr = t_.nr - j;  // the last, ragged panel
    for (Index i = 0; i < t_.mr; ++i) {
      if (t_.accumulate) touch_.read(t_.c + i * t_.ldc + j, nr);
      if (!t_.accumulate && t_.bias != nullptr) touch_.read(t_.bias + j, nr);
      touch_.write(stack + i * NR_, NR_);
    }
    start(stack, NR_, j, NR_);
    product(j, 1);
    touch_.write_rows(stack, NR_, t_.mr, NR_);
    finish_rows(stack, NR_, j, nr);
  }

 private:
  void start(const float* x, Index ldx, Index j, Index n) noexcept {
    if (x != nullptr) return touch_.read_rows(x, ldx, t_.mr, n);
    if (t_.bias != nullptr) touch_.read(t_.bias + j, n);
  }
  void product(Index j, Index panels) noexcept {
    const auto* b = static_cast<const float*>(t_.b);
    const Index ldb = t_.ldb / Index{sizeof(float)};
    const auto* a = static_cast<const float*>(t_.a);
    const Index words = (t_.kc + KR_ - 1) / KR_;
    touch_.broadcast_rows(a, t_.lda / KR_, t_.mr, words, [&](Index k) {
      for (Index p = 0; p < panels; ++p) touch_.read(b + (j / NR_ + p) * ldb + k * NR_, NR_);
    });
  }
  void finish_rows(const float* x, Index ldx, Index j, Index n) noexcept {
    for (Index i = 0; i < t_.mr; ++i) {
      by_lines(n, [&](Index l, Index m) {
        touch_.read(x + i * ldx + l, m);
        if (t_.residual != nullptr) touch_.read(t_.residual + i * t_.ldr + j + l, m);
        if (t_.narrow != nullptr) {
          touch_.write(t_.narrow + i * t_.ldn + j + l, m);
        } else {
          touch_.write(t_.c + i * t_.ldc + j + l, m);
        }
      });
    }
  }

  const GemmTile& t_;
  Touch touch_;
  Index NR_, KR_, P_ = 1;
};

// ---- Rows ---------------------------------------------------------------------------------------

void layer_norm(const LayerNormRows& r) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  for (Index i = 0; i < r.M; ++i) {
    const float* x = r.x + i * r.ldx;
    float* y = r.y + i * r.ldy;
    by_lines(r.N, [&](Index j, Index n) {
      touch.read(x + j, n);
      if (r.residual == nullptr) return;
      touch.read(r.residual + i * r.ldr + j, n);
      touch.write(y + j, n);
    });
    const float* z = r.residual == nullptr ? x : y;
    touch.read(z, r.N);
    by_lines(r.N, [&](Index j, Index n) {
      touch.read(z + j, n);
      touch.read(r.gamma + j, n);
      touch.read(r.beta + j, n);
      touch.write(y + j, n);
    });
  }
}

/// y from one row each of a and b (null: of a alone), line by line.
void map_rows(const float* a, Index lda, const float* b, Index ldb, float* y, Index ldy, Index M,
              Index N) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  for (Index i = 0; i < M; ++i) {
    by_lines(N, [&](Index j, Index n) {
      touch.read(a + i * lda + j, n);
      if (b != nullptr) touch.read(b + i * ldb + j, n);
      touch.write(y + i * ldy + j, n);
    });
  }
}
void add(const float* a, Index lda, const float* b, Index ldb, float* y, Index ldy, Index M,
         Index N) noexcept {
  map_rows(a, lda, b, ldb, y, ldy, M, N);
}
void activation(Activation, const float* x, Index ldx, float* y, Index ldy, Index M,
                Index N) noexcept {
  map_rows(x, ldx, nullptr, 0, y, ldy, M, N);
}
void gated(Activation, const float* x, const float* u, Index ldx, float* y, Index ldy, Index M,
           Index N) noexcept {
  map_rows(x, ldx, u, ldx, y, ldy, M, N);
}

/// `passes` over a row of x before the one that writes y.
void passes_then_map(int passes, const float* x, Index ldx, float* y, Index ldy, Index M,
                     Index N) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  for (Index i = 0; i < M; ++i) {
    for (int pass = 0; pass < passes; ++pass) touch.read(x + i * ldx, N);
    map_rows(x + i * ldx, ldx, nullptr, 0, y + i * ldy, ldy, 1, N);
  }
}
void l2_normalize(const float* x, Index ldx, float* y, Index ldy, Index M, Index N,
                  float) noexcept {
  passes_then_map(1, x, ldx, y, ldy, M, N);
}

void embedding(const EmbeddingTerm* terms, Index n_terms, float* y, Index ldy, Index M,
               Index N) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  for (Index i = 0; i < M; ++i) {
    for (Index t = 0; t < n_terms; ++t) {
      if (terms[t].index != nullptr) touch.read(terms[t].index + i, 1);
    }
    by_lines(N, [&](Index j, Index n) {
      for (Index t = 0; t < n_terms; ++t) {
        const Index row = terms[t].index == nullptr ? terms[t].constant : terms[t].index[i];
        const Index bytes = size_of(terms[t].type);
        touch.read(static_cast<const char*>(terms[t].table) + (row * N + j) * bytes, n * bytes);
      }
      touch.write(y + i * ldy + j, n);
    });
  }
}

/// Blocks of 8 vectors of columns, then single ones, over all rows.
template <Isa isa>
void columns(const float* x, Index ldx, const float* weights, Index T, Index N, float* y) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  const Index V = kernels::kernels_at(isa).attention[Precision::f32].V;
  if (weights != nullptr) touch.read(weights, T);
  for (Index j = 0; j < N;) {
    const Index n = j + 8 * V <= N ? 8 * V : std::min(V, N - j);
    for (Index i = 0; i < T; ++i) {
      if (weights != nullptr) touch.read(weights + i, 1);
      touch.read(x + i * ldx + j, n);
    }
    touch.write(y + j, n);
    j += n;
  }
}
template <Isa isa>
void max_rows(const float* x, Index ldx, Index T, Index N, float* y) noexcept {
  columns<isa>(x, ldx, nullptr, T, N, y);
}

void widen(const void* x, DType type, float* y, Index n) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  by_lines(n, [&](Index j, Index m) {
    touch.read(static_cast<const char*>(x) + j * size_of(type), m * size_of(type));
    touch.write(y + j, m);
  });
}

void narrow(const float* x, Index ldx, std::uint16_t* y, Index ldy, Index M, Index N) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  for (Index i = 0; i < M; ++i) {
    by_lines(N, [&](Index j, Index n) {
      touch.read(x + i * ldx + j, n);
      touch.write(y + i * ldy + j, n);
    });
  }
}

// ---- The tables ---------------------------------------------------------------------------------

template <Isa isa, Precision precision>
void gemm(const GemmTile& t) noexcept {
  if (target == nullptr) return;
  const KernelTable& real = kernels::kernels_at(isa);
  GemmTouch(t, real.gemm[precision], real.attention[Precision::f32].V, Touch(*target)).run();
}
void pack_panel(const void*, DType, Index, Index, Index, void*) noexcept {}

template <Isa isa>
void attention(const kernels::AttentionTask& t) noexcept {
  if (target == nullptr) return;
  touch_attention(t, kernels::kernels_at(isa).attention[Precision::f32].V, Touch(*target));
}

template <Isa isa>
KernelTable make_table() noexcept {
  KernelTable table = kernels::kernels_at(isa);
  table.gemm[Precision::f32].run = gemm<isa, Precision::f32>;
  table.gemm[Precision::bf16].run = gemm<isa, Precision::bf16>;
  for (const Precision p : kPrecisions) table.gemm[p].pack_panel = pack_panel;
  table.attention[Precision::f32].run = attention<isa>;
  table.attention[Precision::f32].scratch_elements = kernels::attention_scratch;
  table.layer_norm = layer_norm;
  table.activation = activation;
  table.gated = gated;
  table.l2_normalize = l2_normalize;
  table.add = add;
  table.embedding = embedding;
  table.weighted_mean = columns<isa>;
  table.max_rows = max_rows<isa>;
  table.widen = widen;
  table.narrow = narrow;
  return table;
}

}  // namespace

void replay_into(CacheSimulator* simulator) noexcept {
  target = simulator;
}

const KernelTable& replay_kernels(Isa isa) noexcept {
  static const std::array tables{make_table<Isa::baseline>(), make_table<Isa::avx2>(),
                                 make_table<Isa::avx512>(), make_table<Isa::avx512_bf16>()};
  static_assert(tables.size() == kAllIsas.size());
  return tables[static_cast<std::size_t>(isa)];
}

}  // namespace tessera::meters
