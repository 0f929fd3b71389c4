// SPDX-License-Identifier: Apache-2.0
#include "runtime/image/resample.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel_table.hpp"
#include "runtime/base/error.hpp"

namespace tessera {
namespace {

using kernels::kResampleRows;

Isa chosen_isa(std::optional<Isa> asked) {
  const DefaultIsa by_default = default_isa();
  if (!asked) asked = by_default.isa;
  if (asked && cpu_supports(*asked)) return *asked;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("resampler: got instruction set {}, expected one that this CPU supports",
                          asked ? to_string(*asked) : by_default.value));
}

}  // namespace

Resampler::Resampler(std::optional<Isa> isa) : isa_(chosen_isa(isa)) {}

// Sixteen rows at a time become the lanes of the sum:
//   in (16, W, C) → turned (W, C, 16) → result (x, C, 16) → out (16, x, C)
void Resampler::along_rows(const ByteImage& in, const ResampleAxis& x, Index first_row, Index rows,
                           std::uint8_t* out) {
  const kernels::KernelTable& kernels = kernels::kernels_at(isa_);
  const Index C = in.channels, begin = x.first.front(), W = x.end() - begin;
  const Index in_stride = in.width * C, out_stride = x.outputs() * C, lanes = C * kResampleRows;
  turned_.resize(static_cast<std::size_t>(W * lanes));
  result_.resize(static_cast<std::size_t>(x.outputs() * lanes));
  for (Index y = 0; y < rows; y += kResampleRows) {
    const Index count = std::min(kResampleRows, rows - y);  // lanes beyond it are not looked at
    kernels.transpose_bytes(in.pixels + (first_row + y) * in_stride + begin * C, in_stride,
                            turned_.data(), kResampleRows, count, W * C);
    for (Index i = 0; i < x.outputs(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      kernels.resample_bytes({.in = turned_.data() + (x.first[at] - begin) * lanes,
                              .ldi = lanes,
                              .weights = x.weights.data() + i * x.stride,
                              .taps = x.count[at],
                              .out = result_.data() + i * lanes,
                              .n = lanes});
    }
    kernels.transpose_bytes(result_.data(), kResampleRows, out + y * out_stride, out_stride,
                            out_stride, count);
  }
}

void Resampler::run(const ByteImage& in, const ResampleAxis* x, const ResampleAxis* y,
                    std::uint8_t* out) {
  const Index C = in.channels;
  const Index begin = y != nullptr ? y->first.front() : 0;  // the rows that the columns need
  const Index rows = y != nullptr ? y->end() - begin : in.height;
  const Index row_bytes = (x != nullptr ? x->outputs() : in.width) * C;
  const std::uint8_t* columns = in.pixels + begin * row_bytes;
  if (x != nullptr) {
    if (y != nullptr) between_.resize(static_cast<std::size_t>(rows * row_bytes));
    std::uint8_t* const to = y != nullptr ? between_.data() : out;
    along_rows(in, *x, begin, rows, to);
    columns = to;
  } else if (y == nullptr) {
    std::memcpy(out, in.pixels, static_cast<std::size_t>(in.height * row_bytes));
  }
  if (y == nullptr) return;
  const kernels::KernelTable& kernels = kernels::kernels_at(isa_);
  for (Index i = 0; i < y->outputs(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    kernels.resample_bytes({.in = columns + (y->first[at] - begin) * row_bytes,
                            .ldi = row_bytes,
                            .weights = y->weights.data() + i * y->stride,
                            .taps = y->count[at],
                            .out = out + i * row_bytes,
                            .n = row_bytes});
  }
}

}  // namespace tessera
