// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/window_bias.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tessera {
namespace {

/// Of cells that are no neighbours in the map. Swin V2's published code adds it twice.
///                                       transformers Swinv2SelfAttention.forward
constexpr float kApart = -100.0F, kApartV2 = 2 * kApart;

/// c of a distance of d cells.
double coordinate(Index d, Index trained) {
  if (d == 0) return 0.0;
  const double z = 8.0 * static_cast<double>(d) / static_cast<double>(trained - 1);
  return std::copysign(std::log2(std::abs(z) + 1.0) / 3.0, z);
}

/// Which end of the map the cells of row or column `i` of a last window come from.
bool is_from_the_other_end(const WindowBias& window, Index i) {
  return i >= window.n - window.shift;
}

}  // namespace

//   b_h(dy, dx) = 16 / (1 + exp(−Σ_f w2_hf · relu(w1_f0·c(dy) + w1_f1·c(dx) + b1_f)))
void window_bias(const WindowBias& window, const WindowBiasWeights& weights, float* out) {
  const Index n = window.n, span = 2 * n - 1, T = n * n, F = window.hidden;
  std::vector<double> hidden(static_cast<std::size_t>(F));
  std::vector<float> of_distance(static_cast<std::size_t>(weights.heads * span * span));
  for (Index y = 0; y < span; ++y) {
    for (Index x = 0; x < span; ++x) {
      const double dy = coordinate(y - (n - 1), window.trained),
                   dx = coordinate(x - (n - 1), window.trained);
      for (Index f = 0; f < F; ++f) {
        const auto i = static_cast<std::size_t>(f);
        const double sum = static_cast<double>(weights.w1[2 * i]) * dy +
                           static_cast<double>(weights.w1[2 * i + 1]) * dx +
                           static_cast<double>(weights.b1[i]);
        hidden[i] = sum < 0.0 ? 0.0 : sum;
      }
      for (Index h = 0; h < weights.heads; ++h) {
        double sum = 0;
        for (Index f = 0; f < F; ++f) {
          sum += static_cast<double>(weights.w2[static_cast<std::size_t>(h * F + f)]) *
                 hidden[static_cast<std::size_t>(f)];
        }
        of_distance[static_cast<std::size_t>((h * span + y) * span + x)] =
            static_cast<float>(16.0 / (1.0 + std::exp(-sum)));
      }
    }
  }
  for (Index h = 0; h < weights.heads; ++h) {
    for (Index q = 0; q < T; ++q) {
      for (Index k = 0; k < T; ++k) {
        const Index y = q / n - k / n + n - 1, x = q % n - k % n + n - 1;
        out[(h * T + q) * T + k] = of_distance[static_cast<std::size_t>((h * span + y) * span + x)];
      }
    }
  }
}

void add_window_variants(const WindowBias& window, Index heads, float* out) {
  const Index n = window.n, T = n * n, size = heads * T * T;
  const auto apart = [&](Index i, Index j) {
    return is_from_the_other_end(window, i) != is_from_the_other_end(window, j);
  };
  const float score = window.hidden > 0 ? kApartV2 : kApart;
  for (Index place = 1; place < kWindowPlaces; ++place) {
    float* const variant = out + place * size;
    const bool is_last_row = (place & static_cast<Index>(WindowPlace::last_row)) != 0,
               is_last_column = (place & static_cast<Index>(WindowPlace::last_column)) != 0;
    std::copy_n(out, size, variant);
    for (Index q = 0; q < T; ++q) {
      for (Index k = 0; k < T; ++k) {
        const bool are_apart =
            (is_last_row && apart(q / n, k / n)) || (is_last_column && apart(q % n, k % n));
        if (!are_apart) continue;
        for (Index h = 0; h < heads; ++h) variant[(h * T + q) * T + k] += score;
      }
    }
  }
}

void repeat_exp(float* x, Index count, Index repeats) {
  const float most = std::log(100.0F);
  for (Index i = count; i-- > 0;) {  // the last first: what is read is not written yet
    const float value = std::isnan(x[i]) ? x[i] : std::exp(std::min(x[i], most));
    std::fill_n(x + i * repeats, repeats, value);
  }
}

}  // namespace tessera
