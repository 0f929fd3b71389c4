// SPDX-License-Identifier: Apache-2.0
// The pictures of a report.
#pragma once

#include <string>
#include <vector>

#include "tessera/report/report_data.hpp"
#include "tessera/report/svg.hpp"

namespace tessera::plots {

/// A picture, the name of its file, its heading, and what a reader should know to read it.
struct Plot {
  std::string file;  ///< "roofline"
  std::string title;
  std::string caption;
  Svg svg;
};

/// Every op by FLOP per byte into L2 and by FLOP/s, under the roofs of the machine.
Plot draw_roofline(const ReportData& data);
/// Bytes per layer at the edges of L1, L2, L3, stacked by op: predicted above measured.
Plot draw_layer_bytes(const ReportData& data);
/// Bytes into L2 of every loop order over rows, one panel per shape; the chosen order underlaid.
Plot draw_crossover(const ReportData& data);
/// Where every value lives in the arena, op by op.
Plot draw_arena(const ReportData& data);

std::vector<Plot> draw_all(const ReportData& data);

}  // namespace tessera::plots
