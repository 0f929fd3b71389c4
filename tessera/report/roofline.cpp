// SPDX-License-Identifier: Apache-2.0
//
// Roofline (Williams, Waterman, Patterson 2009) for bytes that move into L2:
//
//   FLOP/s ≤ min( peak,  FLOP/byte into L2 · bytes/s from L3 )
//
// A peak for each precision that ops multiply in. The dashed roof is memory's, for ops whose operands come
// from there.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tessera/report/plots.hpp"

namespace tessera::plots {
namespace {

constexpr double kWidth = 760, kHeight = 430, kLeft = 62, kRight = 744, kTop = 34, kBottom = 374;

struct Mark {
  Point at;  ///< FLOP/byte, FLOP/s
  Part part;
  std::string tip;
  bool is_measured;
};

Mark mark_of(const ReportData& data, std::size_t i, const Place& place, double flops) {
  const OpReport& op = data.plan.ops[i];
  const meters::OpMeasurement* bytes = measured_op(data.bytes, i);
  const meters::OpMeasurement* time = measured_op(data.time, i);
  const bool has_bytes = bytes != nullptr && bytes->l2 && bytes->l2->total() > 0;
  const bool has_time = time != nullptr && time->seconds && *time->seconds > 0;
  const double moved = has_bytes ? bytes->l2->total() : std::max(l2_bytes_of(op), 64.0);
  const double seconds = has_time ? *time->seconds : std::max(op.chosen.seconds, 1e-9);
  std::string tip = fmt::format(
      "{} {}\n{:.1f} GFLOP/s{}, {:.1f} FLOP per byte into L2{}\n{} {}: {}", op.kind, op.name,
      flops / seconds / 1e9, has_time ? "" : " (predicted)", flops / moved,
      has_bytes ? "" : " (predicted)", op.chosen.name, op.chosen.blocks, op.chosen.limit);
  return {{flops / moved, flops / seconds}, place.part, std::move(tip), has_time};
}

/// Of the precisions that ops multiply in, FLOP/s of one thread and the name: from the lowest on.
std::map<double, const char*> peaks_of(const ReportData& data) {
  std::map<double, const char*> peaks;
  for (const OpReport& op : data.plan.ops) {
    if (op.flops <= 0) continue;
    peaks[data.rates.flops_of(op.precision)] = op.precision == Precision::f32    ? "fp32"
                                               : op.precision == Precision::bf16 ? "bf16"
                                                                                 : "int8";
  }
  if (peaks.empty()) peaks[data.rates.flops[Precision::f32]] = "fp32";
  return peaks;
}

}  // namespace

Plot draw_roofline(const ReportData& data) {
  const std::vector<Place> places = places_of(data.program);
  std::vector<Mark> marks;
  std::size_t next_op = 0;  // those before are in the mark of a chain
  for (std::size_t i = 0; i < data.plan.ops.size(); ++i) {
    if (i < next_op) continue;
    double flops = flops_of(data, i);
    const meters::OpMeasurement* chain = measured_op(data.time, i);
    for (std::size_t next = 1; chain != nullptr && next < chain->count; ++next) {
      flops += flops_of(data, i + next);
    }
    if (chain != nullptr) next_op = i + chain->count;
    if (flops > 0) marks.push_back(mark_of(data, i, places[i], flops));
  }
  const std::map<double, const char*> peaks = peaks_of(data);
  const double threads = data.threads, peak = peaks.rbegin()->first * threads,
               l3 = (data.machine.l3.bytes > 0 ? data.rates.l3_bytes : data.rates.memory_bytes) *
                    threads,
               memory = data.rates.memory_bytes * threads;
  double low_x = 0.1, high_x = 4 * peak / memory, low_y = peak / 200;
  for (const Mark& mark : marks) {
    low_x = std::min(low_x, mark.at.x / 1.5);
    high_x = std::max(high_x, mark.at.x * 1.5);
    low_y = std::min(low_y, mark.at.y / 1.5);
  }
  const Scale x = Scale::log(low_x, high_x, kLeft, kRight),
              y = Scale::log(low_y, peak * 2, kBottom, kTop);
  Svg svg(kWidth, kHeight, "Roofline of every op at the edge of L2");
  draw_x_axis(svg, x, kTop, kBottom, 8, "FLOP per byte into L2");
  draw_y_axis(svg, y, kLeft, kRight, 6, "FLOP/s");
  const auto slope = [&](double rate, const char* style, const std::string& label, double lift) {
    const double ridge = peak / rate, from = std::max(x.from(), y.from() / rate);
    svg.polyline({{x(from), y(from * rate)}, {x(ridge), y(peak)}}, style);
    const double at = std::sqrt(from * ridge);
    const double angle = -std::atan2(y(from * rate) - y(peak), x(ridge) - x(from)) * 180 / M_PI;
    svg.text({x(at), y(at * rate) + lift}, label, "small", Anchor::middle, angle);
  };
  slope(l3, "roof", fmt::format("L3 {:.0f} GB/s", l3 / 1e9), -7);
  if (memory < l3) slope(memory, "roof2", fmt::format("memory {:.0f} GB/s", memory / 1e9), 14);
  for (const auto& [of_thread, name] : peaks) {
    const double flat = of_thread * threads;
    svg.line({x(flat / l3), y(flat)}, {x(x.to()), y(flat)}, "roof");
    svg.text({kRight - 4, y(flat) - 7},
             fmt::format("{} peak {:.0f} GFLOP/s, {} thread{}", name, flat / 1e9, data.threads,
                         data.threads == 1 ? "" : "s"),
             "small", Anchor::end);
  }
  for (const Mark& mark : marks) {
    const std::string style =
        std::string(mark.is_measured ? "" : "hollow ") + class_of(mark.part) + " edge";
    svg.circle({x(mark.at.x), y(mark.at.y)}, 5, style, mark.tip);
  }
  double legend = kLeft;
  for (const Part part : kParts) {
    svg.circle({legend + 5, kHeight - 8}, 5, class_of(part));
    svg.text({legend + 14, kHeight - 4}, label_of(part), "small");
    legend += 24 + 6.2 * static_cast<double>(std::string_view(label_of(part)).size());
  }
  return {
      "roofline", "Roofline",
      std::string(
          "Every operator as a point: filled where its time was measured, hollow where "
          "it is predicted. Under the slope, bytes limit; under the flat part of "
          "its precision, arithmetic. An op left of a slope keeps its operands in L2 from the op "
          "before."),
      std::move(svg)};
}

}  // namespace tessera::plots
