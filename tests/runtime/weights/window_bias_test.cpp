// SPDX-License-Identifier: Apache-2.0
// What keeps cells of a rolled map apart that are no neighbours: −100 in Swin's published code, which
// Swin V2's adds twice.
#include "runtime/weights/window_bias.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tessera {
namespace {

TEST(WindowBiasTest, CellsFromTheOtherEndAreKeptApart) {
  constexpr Index n = 2, T = n * n, kHeads = 2;
  for (const bool is_v2 : {false, true}) {
    const WindowBias window{.n = n, .shift = 1, .hidden = is_v2 ? 8 : 0, .trained = n};
    std::vector<float> out(static_cast<std::size_t>(kWindowPlaces * kHeads * T * T), 0.5F);
    add_window_variants(window, kHeads, out.data());
    for (Index place = 0; place < kWindowPlaces; ++place) {
      for (Index h = 0; h < kHeads; ++h) {
        for (Index q = 0; q < T; ++q) {
          for (Index k = 0; k < T; ++k) {
            const bool rows = (place & 2) != 0 && q / n != k / n,
                       columns = (place & 1) != 0 && q % n != k % n;
            const float expected = rows || columns ? (is_v2 ? -199.5F : -99.5F) : 0.5F;
            EXPECT_EQ(out[static_cast<std::size_t>(((place * kHeads + h) * T + q) * T + k)],
                      expected)
                << (is_v2 ? "V2" : "V1") << ", place " << place << ", " << q << " to " << k;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera
