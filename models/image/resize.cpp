// SPDX-License-Identifier: Apache-2.0
#include "models/image/resize.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <optional>
#include <vector>

namespace tessera::image {
namespace {

constexpr int kWeightBits = 22;  // 32 − 8 − 2: a weight may reach beyond [0, 1]

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double support_of(Filter filter) {
  switch (filter) {
    case Filter::lanczos:
      return 3.0;
    case Filter::bicubic:
      return 2.0;
    case Filter::box:
      return 0.5;
    default:
      return 1.0;
  }
}

double value_of(Filter filter, double x) {
  switch (filter) {
    case Filter::box:
      return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
    case Filter::lanczos:
      return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
    case Filter::bicubic: {
      constexpr double a = -0.5;
      x = std::abs(x);
      if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
      if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
      return 0.0;
    }
    case Filter::hamming:
      x = std::abs(x);
      if (x == 0.0) return 1.0;
      if (x >= 1.0) return 0.0;
      x *= std::numbers::pi;
      // Pillow's constants are floats, and that shows in the last step of a pixel now and then.
      return std::sin(x) / x *
             (static_cast<double>(0.54F) + static_cast<double>(0.46F) * std::cos(x));
    default:
      x = std::abs(x);
      return x < 1.0 ? 1.0 - x : 0.0;
  }
}

// Outputs [begin, begin + count) of an axis of `in` pixels that becomes `out`. Pillow's
// precompute_coeffs() and normalize_coeffs_8bpc(), in double.
ResampleAxis axis_of(Index in, Index out, Index begin, Index count, Filter filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double support = support_of(filter) * stretch, shrink = 1.0 / stretch;
  ResampleAxis axis;
  axis.stride = static_cast<Index>(std::ceil(support)) * 2 + 1;
  axis.weights.resize(static_cast<std::size_t>(count * axis.stride));
  std::vector<double> weights(static_cast<std::size_t>(axis.stride));
  for (Index i = 0; i < count; ++i) {
    const double center = (static_cast<double>(begin + i) + 0.5) * scale;
    const Index first = std::max(static_cast<Index>(center - support + 0.5), Index{0});
    const Index last = std::min(static_cast<Index>(center + support + 0.5), in);
    double sum = 0.0;
    for (Index t = 0; t < last - first; ++t) {
      const double x = (static_cast<double>(t + first) - center + 0.5) * shrink;
      const double weight = value_of(filter, x);
      weights[static_cast<std::size_t>(t)] = weight;
      sum += weight;
    }
    for (Index t = 0; t < last - first; ++t) {
      double weight = weights[static_cast<std::size_t>(t)];
      if (sum != 0.0) weight /= sum;
      const double scaled = weight * (1 << kWeightBits);
      axis.weights[static_cast<std::size_t>(i * axis.stride + t)] =
          static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
    axis.first.push_back(first);
    axis.count.push_back(last - first);
  }
  return axis;
}

// Input of each output: ⌊(i + ½)·scale⌋, where i·scale is added up step by step.
std::vector<Index> nearest_of(Index in, Index out, Index begin, Index count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  std::vector<Index> index;
  double at = scale * 0.5;
  for (Index i = 0; i < begin + count; ++i, at += scale) {
    if (i >= begin) index.push_back(std::min(static_cast<Index>(at), in - 1));
  }
  return index;
}

void resize_nearest(const RgbImage& in, Index width, Index height, const Window& window,
                    RgbImage& out) {
  const std::vector<Index> columns = nearest_of(in.width, width, window.left, window.width),
                           rows = nearest_of(in.height, height, window.top, window.height);
  for (Index y = 0; y < window.height; ++y) {
    const std::uint8_t* from = in.row(rows[static_cast<std::size_t>(y)]);
    std::uint8_t* to = out.row(y);
    for (const Index x : columns) {
      std::memcpy(to, from + x * kChannels, kChannels);
      to += kChannels;
    }
  }
}

}  // namespace

void resize(const RgbImage& in, Index width, Index height, Filter filter, const Window& window,
            Resampler& resampler, RgbImage& out) {
  out.resize(window.width, window.height);
  if (filter == Filter::nearest) {
    resize_nearest(in, width, height, window, out);
    return;
  }
  // A pass that would change no extent is not made, as in Pillow; under a window it copies.
  std::optional<ResampleAxis> x, y;
  const bool is_cut_x = window.width != width, is_cut_y = window.height != height;
  if (in.width != width) {
    x = axis_of(in.width, width, window.left, window.width, filter);
  } else if (is_cut_x) {
    x = axis_of(width, width, window.left, window.width, Filter::box);
  }
  if (in.height != height) {
    y = axis_of(in.height, height, window.top, window.height, filter);
  } else if (is_cut_y) {
    y = axis_of(height, height, window.top, window.height, Filter::box);
  }
  resampler.run(
      {.pixels = in.pixels.data(), .width = in.width, .height = in.height, .channels = kChannels},
      x ? &*x : nullptr, y ? &*y : nullptr, out.pixels.data());
}

void resize_values(const RgbImage& in, Index width, Index height, Filter filter,
                   std::vector<float>& row, std::vector<float>& out) {
  constexpr float kOne = 1.0F / (1 << kWeightBits);  // exact
  const ResampleAxis x = axis_of(in.width, width, 0, width, filter),
                     y = axis_of(in.height, height, 0, height, filter);
  const auto size = [](Index n) { return static_cast<std::size_t>(n); };
  row.resize(size(kChannels * width));  // (channels, width): one row of the input
  out.assign(size(kChannels * height * width), 0.0F);
  Index begin = 0;  // of the rows of the output that row r of the input is a part of
  for (Index r = 0; r < in.height; ++r) {
    while (begin < height && y.first[size(begin)] + y.count[size(begin)] <= r) ++begin;
    if (begin == height || y.first[size(begin)] > r) continue;
    for (Index i = 0; i < width; ++i) {
      const std::int32_t* const weights = x.weights.data() + i * x.stride;
      const std::uint8_t* from = in.row(r) + x.first[size(i)] * kChannels;
      std::int64_t sums[kChannels] = {};
      for (Index t = 0; t < x.count[size(i)]; ++t, from += kChannels) {
        for (Index c = 0; c < kChannels; ++c) sums[c] += std::int64_t{weights[t]} * from[c];
      }
      for (Index c = 0; c < kChannels; ++c) {
        row[size(c * width + i)] = static_cast<float>(sums[c]) * kOne;
      }
    }
    for (Index j = begin; j < height && y.first[size(j)] <= r; ++j) {
      const Index t = r - y.first[size(j)];
      const float weight = static_cast<float>(y.weights[size(j * y.stride + t)]) * kOne;
      for (Index c = 0; c < kChannels; ++c) {
        const float* const from = row.data() + c * width;
        float* const to = out.data() + (c * height + j) * width;
        for (Index i = 0; i < width; ++i) to[i] += weight * from[i];
      }
    }
  }
}

}  // namespace tessera::image
