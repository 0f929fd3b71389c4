// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tessera/report/plots.hpp"

namespace tessera::plots {
namespace {

constexpr double kWidth = 760, kPanelWidth = 380, kPanelHeight = 262;

/// The line of an order has the colour of a part: there are five of either.
const char* style_of(std::size_t order) {
  const Part parts[] = {Part::qkv, Part::projection, Part::attention, Part::down, Part::up};
  return class_of(parts[order]);
}

void draw_panel(Svg& svg, const OrderSweep& sweep, Index rows, double left, double top) {
  const double x0 = left + 46, x1 = left + kPanelWidth - 14, y0 = top + 218, y1 = top + 34;
  double most = 2;
  for (const OrderSweep::Step& step : sweep.steps) {
    for (const std::optional<double>& bytes : step.bytes) {
      if (bytes) most = std::max(most, *bytes / step.bound_bytes);
    }
  }
  most = std::min(most, 64.0);
  const Scale x = Scale::log(1, static_cast<double>(sweep.steps.back().rows), x0, x1),
              y = Scale::log(0.9, most * 1.15, y0, y1);
  svg.text({x0, top + 12}, sweep.name, "strong");
  draw_x_axis(svg, x, y1, y0, 6, "rows M");
  draw_y_axis(svg, y, x0, x1, 5, "bytes into L2, times the bound");
  const auto point = [&](const OrderSweep::Step& step, std::size_t order) {
    return Point{x(static_cast<double>(step.rows)),
                 y(std::min(most, *step.bytes[order] / step.bound_bytes))};
  };
  std::vector<Point> chosen;
  for (const OrderSweep::Step& step : sweep.steps) {
    const auto order = static_cast<std::size_t>(step.chosen);
    if (step.bytes[order]) chosen.push_back(point(step, order));
  }
  svg.polyline(chosen, "chosen");
  for (std::size_t order = 0; order < std::size(kLoopOrders); ++order) {
    std::vector<Point> line;
    for (const OrderSweep::Step& step : sweep.steps) {
      if (step.bytes[order]) line.push_back(point(step, order));
    }
    if (line.size() < 2) continue;
    svg.polyline(line, std::string("path ") + style_of(order), to_string(kLoopOrders[order]));
  }
  const auto here = static_cast<double>(rows);
  if (here >= x.from() && here <= x.to()) svg.line({x(here), y0}, {x(here), y1}, "mark");
  for (std::size_t i = 1; i < sweep.steps.size(); ++i) {
    const OrderSweep::Step &before = sweep.steps[i - 1], &step = sweep.steps[i];
    const auto order = static_cast<std::size_t>(step.chosen);
    if (before.chosen == step.chosen || !step.bytes[order]) continue;
    svg.circle(point(step, order), 4, std::string("hollow ") + style_of(order),
               fmt::format("from about {} rows on: {}", step.rows, to_string(step.chosen)));
  }
}

}  // namespace

Plot draw_crossover(const ReportData& data) {
  const std::size_t panel_rows = (data.sweeps.size() + 1) / 2;
  Svg svg(kWidth, 26 + static_cast<double>(panel_rows) * kPanelHeight,
          "Bytes of every loop order over rows");
  double legend = 46;
  for (std::size_t order = 0; order < std::size(kLoopOrders); ++order) {
    svg.line({legend, 10}, {legend + 18, 10}, std::string("path ") + style_of(order));
    svg.text({legend + 23, 14}, to_string(kLoopOrders[order]), "small");
    legend += 92;
  }
  svg.line({legend, 10}, {legend + 18, 10}, "chosen");
  svg.text({legend + 25, 14}, "chosen", "small");
  svg.line({legend + 82, 4}, {legend + 82, 17}, "mark");
  svg.text({legend + 88, 14}, "this report", "small");
  for (std::size_t i = 0; i < data.sweeps.size(); ++i) {
    const std::size_t row = i / 2, column = i % 2;
    draw_panel(svg, data.sweeps[i], data.plan.rows, static_cast<double>(column) * kPanelWidth,
               26 + static_cast<double>(row) * kPanelHeight);
  }
  return {"crossover", "Which loop order, by rows",
          "For every shape of linear, the bytes that the best blocks of each loop order move into "
          "L2, over the least that any order can move. The wide shade is what a session runs: the "
          "fewest bytes among candidates within 2 % of the least predicted time, so it need not be "
          "the lowest line. Rings: where the choice changes.",
          std::move(svg)};
}

}  // namespace tessera::plots
