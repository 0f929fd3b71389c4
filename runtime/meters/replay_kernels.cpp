// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/replay_kernels.hpp"

#include <array>

#include "kernels/attention/layout.hpp"
#include "runtime/meters/replay_attention.hpp"
#include "runtime/meters/replay_gemm.hpp"
#include "runtime/meters/replay_tiles.hpp"
#include "runtime/meters/replay_touch.hpp"

namespace tessera::meters {
namespace {

using kernels::EmbeddingTerm;
using kernels::GemmTile;
using kernels::KernelTable;
using kernels::LayerNormRows;

constinit thread_local CacheSimulator* target = nullptr;

// ---- Rows ---------------------------------------------------------------------------------------

void layer_norm(const LayerNormRows& r) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  for (Index i = 0; i < r.M; ++i) {
    const float* x = r.x + i * r.ldx;
    float* y = r.narrow != nullptr ? nullptr : r.y + i * r.ldy;
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
      if (r.narrow != nullptr) return touch.write(r.narrow + i * r.ldn + j, n);
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

/// In place, head by head: the squares of one where it is normalised, then what is turned or scaled.
void rotate_heads(const kernels::RotateHeads& r) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  for (Index h = 0; h < r.heads; ++h) {
    float* const x = r.x + h * r.d;
    if (r.gamma != nullptr) touch.read(x, r.d), touch.read(r.gamma, r.d);
    const Index n = r.gamma != nullptr ? r.d : 2 * r.pairs;
    if (r.pairs > 0) touch.read(r.cos, r.pairs), touch.read(r.sin, r.pairs);
    by_lines(n, [&](Index j, Index m) {
      touch.read(x + j, m);
      touch.write(x + j, m);
    });
  }
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
      const Index row = terms[t].index == nullptr ? terms[t].constant : terms[t].index[i];
      if (terms[t].scales != nullptr) touch.read(terms[t].scales + row, 1);
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

/// As kernels/maps/depthwise.inl.hpp, but for the order of cells that overlap.
void depthwise(const kernels::DepthwiseRow& r) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  const Index top = r.stride * r.row - r.taps / 2;
  by_lines(r.C, [&](Index c, Index n) {
    if (r.bias != nullptr) touch.read(r.bias + c, n);
    for (Index j = 0; j < r.cols; ++j) {
      const Index left = r.stride * j - r.taps / 2;
      for (Index y = std::max<Index>(top, 0); y < std::min(top + r.taps, r.H); ++y) {
        for (Index x = std::max<Index>(left, 0); x < std::min(left + r.taps, r.W); ++x) {
          touch.read(r.w + ((y - top) * r.taps + x - left) * r.C + c, n);
          touch.read(r.x + (y * r.W + x) * r.ldx + c, n);
        }
      }
      touch.write(r.y + j * r.ldy + c, n);
    }
  });
}

/// The elements from the smallest index to the largest, in order.
void pick(const kernels::PickElements& p) noexcept {
  if (target == nullptr || p.n == 0) return;
  Touch touch(*target);
  const std::int32_t first = std::min(p.index[0], p.index[p.n - 1]),
                     last = std::max(p.index[0], p.index[p.n - 1]);
  touch.read(p.index, p.n);
  touch.read(p.x + first, last - first + 1);
  touch.write(p.y, p.n);
}
void add_transposed(const float* x, Index ldx, float* y, Index ldy, Index M, Index N,
                    bool adds) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  for (Index j = 0; j < N; ++j) touch.read(x + j * ldx, M);
  for (Index i = 0; i < M; ++i) {
    if (adds) touch.read(y + i * ldy, N);
    touch.write(y + i * ldy, N);
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

/// Two passes over a row.
template <Isa isa>
void quantize(const kernels::QuantizeRows& r) noexcept {
  if (target == nullptr) return;
  Touch touch(*target);
  const Index in = size_of(r.type), out = kernels::kernels_at(isa).gemm[Precision::s8].bits.a / 8;
  for (Index i = 0; i < r.M; ++i) {
    const auto* const x = static_cast<const char*>(r.x) + i * r.ldx * in;
    auto* const y = static_cast<char*>(r.y) + i * r.y_bytes;
    touch.read(x, r.N * in);
    by_lines(r.N, [&](Index j, Index n) {
      touch.read(x + j * in, n * in);
      touch.write(y + j * out, n * out);
    });
  }
}

// ---- The tables ---------------------------------------------------------------------------------

template <Isa isa, Precision precision>
void gemm(const GemmTile& t) noexcept {
  if (target == nullptr) return;
  const KernelTable& real = kernels::kernels_at(isa);
  touch_gemm(t, real.gemm[precision], real.attention[Precision::f32].V, Touch(*target));
}
void pack_panel(const kernels::PanelOfRows&) noexcept {}

template <Isa isa, Precision precision>
void attention(const kernels::AttentionTask& t) noexcept {
  if (target == nullptr) return;
  const kernels::Attention& real = kernels::kernels_at(isa).attention[precision];
  if (real.packing_rows > 0) return touch_tiles_attention(t, Touch(*target));
  touch_attention(t, real.V, Touch(*target));
}

template <Isa isa>
KernelTable make_table() noexcept {
  KernelTable table = kernels::kernels_at(isa);
  table.gemm[Precision::f32].run = gemm<isa, Precision::f32>;
  table.gemm[Precision::bf16].run = gemm<isa, Precision::bf16>;
  table.gemm[Precision::s8].run = gemm<isa, Precision::s8>;
  table.gemm[Precision::ternary].run = gemm<isa, Precision::ternary>;
  for (const Precision p : kPrecisions) {
    kernels::Gemm& family = table.gemm[p];
    family.pack_panel = pack_panel;
    family.enter = family.leave = nullptr;  // no unit is used, and this CPU may have none
    table.attention[p].enter = table.attention[p].leave = nullptr;
  }
  const auto touch_only = [&]<Precision p>() {
    if (table.attention[p].run != nullptr) table.attention[p].run = attention<isa, p>;
  };
  touch_only.template operator()<Precision::f32>();
  touch_only.template operator()<Precision::bf16>();
  table.attention[Precision::f32].scratch_elements = kernels::attention_scratch<false>;
  table.layer_norm = layer_norm;
  table.activation = activation;
  table.gated = gated;
  table.l2_normalize = l2_normalize;
  table.rotate_heads = rotate_heads;
  table.add = add;
  table.embedding = embedding;
  table.weighted_mean = columns<isa>;
  table.max_rows = max_rows<isa>;
  table.pick = pick;
  table.add_transposed = add_transposed;
  table.depthwise = depthwise;
  table.widen = widen;
  table.narrow = narrow;
  table.quantize = quantize<isa>;
  return table;
}

}  // namespace

void replay_into(CacheSimulator* simulator) noexcept {
  target = simulator;
}

const KernelTable& replay_kernels(Isa isa) noexcept {
  static const auto tables = []<std::size_t... i>(std::index_sequence<i...>) {
    return std::array{make_table<kAllIsas[i]>()...};
  }
  (std::make_index_sequence<kAllIsas.size()>{});
  return tables[static_cast<std::size_t>(isa)];
}

}  // namespace tessera::meters
