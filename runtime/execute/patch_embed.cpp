// SPDX-License-Identifier: Apache-2.0
//
// Patch embedding: a convolution whose stride is its kernel, or nearly so, is a product with gathered
// patches.
//
//   X[s + p] = patch_p (1,K) · Wᵀ (K,N) + bias + position_p        K = C·P·P
//
// A task gathers a block of at most OpSchedule::patch_rows patches of one image into its worker's
// scratch, which stays in L2, and runs the panels of W over it, straight into the token rows: the
// image is read once, and no matrix of all patches exists. 8-bit pixels become values on the way.
// Positions are the product's residual; those of another grid are interpolated into the very rows
// that the product then adds itself to.
#include <algorithm>
#include <cstring>

#include "runtime/execute/copy_few.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/execute/gathered.hpp"
#include "runtime/execute/position_grid.hpp"

namespace tessera::execute {
namespace {

/// As gather_patch(), of a patch that begins at (top, left) and is not all in the image: zeros beyond it.
void gather_edge(const ImageSpec& spec, const Image& image, Index top, Index left,
                 float* row) noexcept {
  const Index C = spec.channels, PH = spec.before + spec.patch_height,
              PW = spec.before + spec.patch_width;
  for (Index c = 0; c < C; ++c) {
    for (Index y = top; y < top + PH; ++y) {
      for (Index x = left; x < left + PW; ++x, ++row) {
        const bool is_pixel = y >= 0 && x >= 0 && y < image.height && x < image.width;
        if (!is_pixel) {
          *row = 0.0F;
        } else if (image.planes != nullptr) {
          *row = image.planes[(c * image.height + y) * image.width + x];
        } else {
          *row = image.values[c * 256 + image.pixels[(y * image.width + x) * C + c]];
        }
      }
    }
  }
}

/// PH x PW pixels of each plane; kWidth = PW, or 0.
template <Index kWidth>
void gather_planes(const Image& image, Index C, Index top, Index left, Index PH, Index PW,
                   float* row) noexcept {
  const Index width = kWidth == 0 ? PW : kWidth;
  for (Index c = 0; c < C; ++c) {
    const float* from = image.planes + (c * image.height + top) * image.width + left;
    for (Index y = 0; y < PH; ++y, row += width, from += image.width) copy_few(row, from, width);
  }
}

/// Patch (i,j) of the image, in the order (channel, y, x); row (patch_elements()).
void gather_patch(const ImageSpec& spec, const Image& image, Index i, Index j,
                  float* row) noexcept {
  const Index C = spec.channels, PH = spec.before + spec.patch_height,
              PW = spec.before + spec.patch_width;
  const Index top = i * spec.patch_height - spec.before, left = j * spec.patch_width - spec.before;
  if (top < 0 || left < 0 || top + PH > image.height || left + PW > image.width) {
    gather_edge(spec, image, top, left, row);
    return;
  }
  if (image.planes != nullptr) {
    if (PW == 3)
      return gather_planes<3>(image, C, top, left, PH, PW, row);  // so many that each counts
    return gather_planes<0>(image, C, top, left, PH, PW, row);
  }
  for (Index y = 0; y < PH; ++y) {
    const std::uint8_t* from = image.pixels + ((top + y) * image.width + left) * C;
    for (Index c = 0; c < C; ++c) {
      const float* values = image.values + c * 256;
      float* to = row + (c * PH + y) * PW;
      for (Index x = 0; x < PW; ++x) to[x] = values[from[x * C + c]];
    }
  }
}

class PatchEmbed {
 public:
  PatchEmbed(const Context& context, const PatchEmbedOp& op) noexcept
      : context_(context),
        op_(op),
        spec_(*context.program.images()),
        positions_(op.positions == kNone ? nullptr : context.weights[op.positions].data),
        native_{spec_.grid_rows(), spec_.grid_cols()},
        out_(context.value(op.out)) {}

  /// The rows before the patches of image s.
  void special_rows(Index s) const noexcept {
    for (Index i = 0; i < spec_.special_tokens; ++i) {
      float* x = row(s, i);
      const float* token = context_.weights[op_.special].data + i * out_.cols;
      if (positions_ != nullptr && i < op_.positioned) {
        context_.kernels.add(token, out_.cols, positions_ + i * out_.cols, out_.cols, x,
                             out_.stride, 1, out_.cols);
      } else {
        std::memcpy(x, token, static_cast<std::size_t>(out_.cols) * sizeof(float));
      }
    }
  }

  /// Patches [patches.begin, patches.end) of image s; `scratch` holds their block.
  void patch_rows(Index s, Range patches, float* scratch) const noexcept {
    const Image& image = context_.images[static_cast<std::size_t>(s)];
    const Grid grid = spec_.grid_of(image.height, image.width);
    const GatheredRows gathered(context_, op_.weight, scratch);
    for (Index p = patches.begin; p < patches.end; ++p) {
      gathered.put(p - patches.begin,
                   [&](float* x) { gather_patch(spec_, image, p / grid.cols, p % grid.cols, x); });
    }
    float* c = row(s, spec_.special_tokens + patches.begin);
    GemmOperands o = gathered.operands();
    o.c = c;
    o.ldc = out_.stride;
    o.bias = op_.bias == kNone ? nullptr : context_.weights[op_.bias].data;
    o.activation = op_.activation;
    if (positions_ != nullptr) {
      const float* table = positions_ + op_.positioned * out_.cols;
      o.residual = table + patches.begin * out_.cols;
      o.ldr = out_.cols;
      if (grid != native_) {
        for (Index p = patches.begin; p < patches.end; ++p) {
          interpolate_position(table, native_, grid, p / grid.cols, p % grid.cols, out_.cols,
                               spec_.resize, c + (p - patches.begin) * out_.stride);
        }
        o.residual = c;
        o.ldr = out_.stride;
      }
    }
    run_block(o, {.order = LoopOrder::is_os_a}, {0, patches.size()}, {0, panel_count(o)});
  }

 private:
  float* row(Index s, Index i) const noexcept {
    return out_.data + (context_.offsets[static_cast<std::size_t>(s)] + i) * out_.stride;
  }

  const Context& context_;
  const PatchEmbedOp& op_;
  const ImageSpec& spec_;
  const float* positions_;
  Grid native_;
  TensorView<float> out_;
};

}  // namespace

void run(const Context& context, const PatchEmbedOp& op, const OpSchedule& schedule) noexcept {
  const PatchEmbed embed(context, op);
  const Index S = context.sequences,
              MR = context.kernels.gemm[context.weights[op.weight].precision].MR;
  const Index special = context.program.images()->special_tokens;
  const Index most = schedule.patch_rows;
  // One image spreads over all workers, too: which rows share a block changes no bit.
  const Index share =
      ceil_div(ceil_div(context.rows - S * special, context.workers.count()), MR) * MR;
  const Index rows = std::min(most, share);
  const std::span<std::int32_t> block_begin{context.block_begin, static_cast<std::size_t>(S) + 1};
  block_begin[0] = 0;
  for (Index s = 0; s < S; ++s) {
    const auto i = static_cast<std::size_t>(s);
    const Index patches = context.offsets[i + 1] - context.offsets[i] - special;
    block_begin[i + 1] = block_begin[i] + static_cast<std::int32_t>(ceil_div(patches, rows));
    embed.special_rows(s);
  }
  context.workers.run(block_begin.back(), [&](Index task, int worker) {
    const Index s = sequence_of(block_begin, task);
    const auto i = static_cast<std::size_t>(s);
    const Index patches = context.offsets[i + 1] - context.offsets[i] - special;
    const Index blocks = block_begin[i + 1] - block_begin[i];
    embed.patch_rows(s, piece({0, patches}, task - block_begin[i], blocks),
                     context.scratch + worker * context.scratch_stride);
  });
}

}  // namespace tessera::execute
