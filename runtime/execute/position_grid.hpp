// SPDX-License-Identifier: Apache-2.0
//
// Position embeddings of a grid of patches, interpolated to another grid.
//
//   out[i,j] = Σ_y w_y(i) Σ_x w_x(j) table[y,x]
//
// Along one axis of n places that becomes m, with c = (i + ½)·n/m the centre of place i:
//
//   bicubic              the 4 places around c; beyond the edge the place at the edge;
//                        w = k(y + ½ − c)
//   bicubic_antialiased  all places within 2·s of c that exist, s = max(1, n/m);
//                        w = k((y + ½ − c)/s), divided by their sum
//
// k is Keys' kernel (1981), a = −3/4 for bicubic and −1/2 for bicubic_antialiased, as in torch's
// upsample_bicubic2d and _upsample_bicubic2d_aa with align_corners=False.
#pragma once

#include "kernels/types.hpp"
#include "runtime/program/program.hpp"

namespace tessera::execute {

/// out = the row at place (i,j) of grid `to`; table (from.rows·from.cols, width), out (width).
/// Precondition: resize != none.
void interpolate_position(const float* table, Grid from, Grid to, Index i, Index j, Index width,
                          PositionResize resize, float* out) noexcept;

}  // namespace tessera::execute
