// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/replay_gemm.hpp"

namespace tessera::meters {
namespace {

using kernels::GemmTile;

// A tile of the result before it is finished. At one place, as the kernel's stack frame is;
// AddressSanitizer gives a frame new addresses in each call.
alignas(64) constinit thread_local float stack[2048];

/// Of whole numbers: half `half` of the heads of the panels of columns [j, j + n): scales, or first sums.
void read_heads(const GemmTile& t, Touch& touch, Index NR, Index j, Index n, Index half) noexcept {
  for (Index p = 0; p < n; p += NR) {
    const auto* head = static_cast<const char*>(t.heads) + (j + p) / NR * t.ldb;
    touch.read(head + half * 4 * NR, 4 * NR);
  }
}

/// As kernels/gemm/epilogue.inl.hpp.
void touch_finish(const GemmTile& t, Touch& touch, Index NR, const float* x, Index ldx, Index j,
                  Index n) noexcept {
  const bool scales = t.row_scales != nullptr;
  if (scales) read_heads(t, touch, NR, j, n, 0);
  for (Index i = 0; i < t.mr; ++i) {
    if (scales) touch.read(t.row_scales + i * t.row_scale_step, 1);
    by_lines(n, [&](Index l, Index m) {
      touch.read(x + i * ldx + l, m);
      if (scales && t.bias != nullptr) touch.read(t.bias + j + l, m);
      if (t.residual != nullptr) touch.read(t.residual + i * t.ldr + j + l, m);
      if (t.narrow != nullptr) {
        touch.write(t.narrow + i * t.ldn + j + l, m);
      } else {
        touch.write(t.c + i * t.ldc + j + l, m);
      }
    });
  }
}

bool finishes(const GemmTile& t) noexcept {
  return t.activation != Activation::none || t.residual != nullptr || t.narrow != nullptr ||
         t.row_scales != nullptr;
}

/// Column j of the first row of what `accumulate` starts from.
const float* sums_of(const GemmTile& t, Index j) noexcept {
  return (t.sums == nullptr ? t.c : t.sums) + j;
}
Index ld_of_sums(const GemmTile& t) noexcept {
  return t.sums == nullptr ? t.ldc : t.lds;
}

/// As kernels/gemm/ukernel.inl.hpp: panels_per_pass, full_tile, finish_panels, ragged_tile.
class VectorTouch {
 public:
  VectorTouch(const GemmTile& t, const kernels::Gemm& kernel, Index V, Touch touch) noexcept
      : t_(t),
        touch_(touch),
        NR_(kernel.NR),
        KR_(kernel.KR),
        row_bytes_(kernel.group_bytes()),
        of_integers_(kernel.of_integers) {
    // kOneStream there: of whole numbers four to a word.
    if (of_integers_ && KR_ == 4 && kernel.bits.b == 8 && t.mr >= 2 && t.mr <= 4 && !t.resident) {
      return;
    }
    const Index NV = NR_ / V, registers = V == 16 ? 32 : 16;
    while (t.mr * NV * P_ < 10 && t.mr * NV * 2 * P_ <= registers * 3 / 4 && P_ < 4) P_ *= 2;
  }

  void run() noexcept {
    const bool finish = finishes(t_);
    Index j = 0;
    const auto pass = [&](Index panels) {
      const Index n = panels * NR_;
      start(t_.accumulate ? sums_of(t_, j) : nullptr, ld_of_sums(t_), j, n);
      product(j, panels);
      touch_.write_rows(finish ? stack : t_.c + j, finish ? n : t_.ldc, t_.mr, n);
      if (finish) touch_finish(t_, touch_, NR_, stack, n, j, n);
      j += n;
    };
    while (P_ > 1 && t_.nr - j >= P_ * NR_) pass(P_);
    while (t_.nr - j >= NR_) pass(1);
    if (j == t_.nr) return;
    const Index nr = t_.nr - j;  // the last, ragged panel
    for (Index i = 0; i < t_.mr; ++i) {
      if (t_.accumulate) touch_.read(sums_of(t_, j) + i * ld_of_sums(t_), nr);
      if (!t_.accumulate && of_integers_) read_heads(t_, touch_, NR_, j, nr, 1);
      if (!t_.accumulate && !of_integers_ && t_.bias != nullptr) touch_.read(t_.bias + j, nr);
      touch_.write(stack + i * NR_, NR_);
    }
    start(stack, NR_, j, NR_);
    product(j, 1);
    touch_.write_rows(stack, NR_, t_.mr, NR_);
    touch_finish(t_, touch_, NR_, stack, NR_, j, nr);
  }

 private:
  void start(const float* x, Index ldx, Index j, Index n) noexcept {
    if (x != nullptr) return touch_.read_rows(x, ldx, t_.mr, n);
    if (of_integers_) return read_heads(t_, touch_, NR_, j, n, 1);
    if (t_.bias != nullptr) touch_.read(t_.bias + j, n);
  }
  void product(Index j, Index panels) noexcept {
    const auto* b = static_cast<const char*>(t_.b);
    const Index row = row_bytes_;
    const auto* a = static_cast<const float*>(t_.a);
    const Index words = (t_.kc + KR_ - 1) / KR_;
    touch_.broadcast_rows(a, t_.lda / KR_, t_.mr, words, [&](Index k) {
      for (Index p = 0; p < panels; ++p) touch_.read(b + (j / NR_ + p) * t_.ldb + k * row, row);
    });
  }
  const GemmTile& t_;
  Touch touch_;
  Index NR_, KR_, row_bytes_, P_ = 1;
  bool of_integers_;
};

/// As kernels/gemm/tile_ukernel.inl.hpp: blocks of one or two times 16 rows.
class TileTouch {
 public:
  TileTouch(const GemmTile& t, const kernels::Gemm& kernel, Touch touch) noexcept
      : t_(t),
        touch_(touch),
        depth_(kernel.KR),
        a_bytes_(kernel.bits.a / 8),
        b_row_bytes_(kNR * kernel.bits.b / 8),
        of_integers_(kernel.of_integers) {}

  void run() noexcept {
    const Index panels = t_.mr <= 16 ? 2 : 1;
    for (Index j = 0; j < t_.nr;) {
      const Index P = t_.nr - j > kNR ? panels : 1, n = std::min(kNR * P, t_.nr - j);
      block(j, n, P);
      j += kNR * P;
    }
  }

 private:
  static constexpr Index kNR = 32;

  void block(Index j, Index n, Index P) noexcept {
    const Index rows = t_.mr <= 16 ? 16 : 32, width = kNR * P;
    const bool whole = t_.mr == rows && n == width;
    if (t_.accumulate) {
      touch_.read_rows(sums_of(t_, j), ld_of_sums(t_), t_.mr, n);
      if (!whole) touch_.write(stack, rows * width), touch_.read(stack, rows * width);
    } else if (!of_integers_ && t_.bias != nullptr) {
      touch_.read(t_.bias + j, n);
      if (n < width) touch_.write(stack, width), touch_.read(stack, width);
    }
    const auto* b = static_cast<const std::byte*>(t_.b) + j / kNR * t_.ldb;
    for (Index k = 0; k < t_.kc; k += depth_) {
      const bool is_whole = k + depth_ <= t_.kc;
      for (Index tile = 0; tile < 2 * P; ++tile) {
        // One row of tiles: A, then its B each; two: B A B A.
        if (rows == 16 && tile == 0) rows_of_a(k, 0, is_whole);
        for (Index group = 0; group < 16; ++group) {
          touch_.read(b + tile / 2 * t_.ldb + k * b_row_bytes_ + tile % 2 * 1024 + group * 64, 64);
        }
        if (rows == 32) rows_of_a(k, 16 * tile, is_whole);
      }
    }
    const bool finish = !whole || finishes(t_);
    touch_.write_rows(finish ? stack : t_.c + j, finish ? width : t_.ldc, rows, width);
    if (finish) touch_finish(t_, touch_, kNR, stack, width, j, n);
  }

  /// A line each, from row `first` on; of the end of K those of the tile alone.
  void rows_of_a(Index k, Index first, bool is_whole) noexcept {
    const auto* a = static_cast<const std::byte*>(t_.a) + (first * t_.lda + k) * a_bytes_;
    const Index n = is_whole ? 16 : std::clamp<Index>(t_.mr - first, 0, 16),
                bytes = (is_whole ? depth_ : t_.kc % depth_) * a_bytes_;
    touch_.read_rows(a, t_.lda * a_bytes_, n, bytes);
  }

  const GemmTile& t_;
  Touch touch_;
  Index depth_, a_bytes_,
      b_row_bytes_;  // k of a product; bytes of an element of A and a row of a panel
  bool of_integers_;
};

/// As kernels/gemm/ternary_tall.inl.hpp and ternary_tiles.inl.hpp, as if a panel were one chunk of K: it is
/// looked up, then rows of A pass. What that leaves on the stack is not counted (docs/VALIDATION.md).
void touch_ternary(const GemmTile& t, const kernels::Gemm& family, Touch touch) noexcept {
  const Index NR = family.NR;
  const auto* const a = static_cast<const std::byte*>(t.a);
  for (Index j = 0; j < t.nr; j += NR) {
    const Index nr = std::min(NR, t.nr - j);
    if (!t.accumulate) read_heads(t, touch, NR, j, nr, 1);
    touch.read(static_cast<const std::byte*>(t.b) + j / NR * t.ldb, family.rows_bytes(t.kc));
    touch.read_rows(a, t.lda * family.bits.a / 8, t.mr, t.kc * family.bits.a / 8);
    if (t.accumulate) touch.read_rows(sums_of(t, j), ld_of_sums(t), t.mr, nr);
    if (finishes(t)) {
      touch_finish(t, touch, NR, stack, 0, j, nr);
    } else {
      touch.write_rows(t.c + j, t.ldc, t.mr, nr);
    }
  }
}

}  // namespace

void touch_gemm(const GemmTile& tile, const kernels::Gemm& family, Index V, Touch touch) noexcept {
  if (family.bits.b_elements > 1) return touch_ternary(tile, family, touch);
  if (family.rows_read == 1) return VectorTouch(tile, family, V, touch).run();
  TileTouch(tile, family, touch).run();
}

}  // namespace tessera::meters
