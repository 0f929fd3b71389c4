// SPDX-License-Identifier: Apache-2.0
#include "runtime/execute/position_grid.hpp"

#include <algorithm>
#include <cmath>

namespace tessera::execute {
namespace {

/// Keys' cubic convolution kernel.
double keys(double x, double a) noexcept {
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return a * (((x - 5.0) * x + 8.0) * x - 4.0);
  return 0.0;
}

/// The places that one place is made of, along one axis.
struct Taps {
  Taps(Index i, Index n, Index m, PositionResize resize) noexcept : last(n - 1) {
    const double ratio = static_cast<double>(n) / static_cast<double>(m);
    center = (static_cast<double>(i) + 0.5) * ratio;
    if (resize == PositionResize::bicubic) {
      begin = static_cast<Index>(std::floor(center - 0.5)) - 1;
      end = begin + 4;
      return;
    }
    a = -0.5;
    scale = std::max(1.0, ratio);
    begin = std::max<Index>(0, static_cast<Index>(center - 2.0 * scale + 0.5));
    end = std::min<Index>(n, static_cast<Index>(center + 2.0 * scale + 0.5));
    double sum = 0.0;
    for (Index y = begin; y < end; ++y) sum += weight(y);
    total = sum;
  }
  double weight(Index y) const noexcept {
    return keys((static_cast<double>(y) + 0.5 - center) / scale, a) / total;
  }
  Index place(Index y) const noexcept { return std::clamp<Index>(y, 0, last); }

  Index begin, end, last;
  double center, scale = 1.0, a = -0.75, total = 1.0;
};

}  // namespace

void interpolate_position(const float* table, Grid from, Grid to, Index i, Index j, Index width,
                          PositionResize resize, float* out) noexcept {
  const Taps ys(i, from.rows, to.rows, resize), xs(j, from.cols, to.cols, resize);
  std::fill_n(out, width, 0.0F);
  for (Index y = ys.begin; y < ys.end; ++y) {
    const double wy = ys.weight(y);
    if (wy == 0.0) continue;
    for (Index x0 = xs.begin; x0 < xs.end; x0 += 4) {  // four places a pass over `out`
      const float* row[4];
      float w[4];
      for (Index t = 0; t < 4; ++t) {
        const Index x = std::min(x0 + t, xs.end - 1);
        row[t] = table + (ys.place(y) * from.cols + xs.place(x)) * width;
        w[t] = x0 + t < xs.end ? static_cast<float>(wy * xs.weight(x)) : 0.0F;
      }
      for (Index n = 0; n < width; ++n) {
        out[n] += (w[0] * row[0][n] + w[1] * row[1][n]) + (w[2] * row[2][n] + w[3] * row[3][n]);
      }
    }
  }
}

}  // namespace tessera::execute
