// SPDX-License-Identifier: Apache-2.0
//
// One panel per cache level; per layer two bars: predicted (pale) and below it measured. Parts of a
// bar are the ops of the layer in their order.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "tessera/report/plots.hpp"

namespace tessera::plots {
namespace {

constexpr double kWidth = 760, kLeft = 62, kRight = 700, kBar = 7, kRow = 2 * kBar + 7;

using Stack = std::array<double, std::size(kParts)>;
struct LayerBytes {
  Stack predicted{}, measured{};
};

double sum(const Stack& stack) {
  double total = 0;
  for (const double bytes : stack) total += bytes;
  return total;
}

struct Edge {
  const char* name;
  double CandidateReport::*predicted;
  std::optional<meters::EdgeBytes> meters::OpMeasurement::*measured;
};
constexpr Edge kEdges[] = {
    {"into L1", &CandidateReport::l1_bytes, &meters::OpMeasurement::l1},
    {"into L2", &CandidateReport::l2_bytes, &meters::OpMeasurement::l2},
    {"into L3", &CandidateReport::l3_bytes, &meters::OpMeasurement::l3},
};

/// Layers by number; the rest under −1.
std::map<int, LayerBytes> collect(const ReportData& data, const Edge& edge, bool& is_measured) {
  std::map<int, LayerBytes> layers;
  const std::vector<Place> places = places_of(data.program);
  is_measured = false;
  for (std::size_t i = 0; i < data.plan.ops.size(); ++i) {
    LayerBytes& layer = layers[places[i].layer];
    const auto part = static_cast<std::size_t>(places[i].part);
    const OpReport& planned = data.plan.ops[i];
    layer.predicted[part] += edge.predicted == &CandidateReport::l2_bytes
                                 ? l2_bytes_of(planned)
                                 : planned.chosen.*edge.predicted;
    const meters::OpMeasurement* op = measured_op(data.bytes, i);
    if (op == nullptr || !(op->*edge.measured)) continue;
    layer.measured[part] += (op->*edge.measured)->total();
    is_measured = true;
  }
  return layers;
}

void draw_bar(Svg& svg, const Scale& x, double y, const Stack& stack, bool is_predicted,
              const std::string& where) {
  double from = 0;
  for (const Part part : kParts) {
    const double bytes = stack[static_cast<std::size_t>(part)];
    if (bytes <= 0) continue;
    svg.rect(x(from), y, x(from + bytes) - x(from), kBar,
             std::string(class_of(part)) + " edge" + (is_predicted ? " predicted" : ""),
             fmt::format("{}, {}\n{} {}", where, label_of(part), bytes_label(bytes),
                         is_predicted ? "predicted" : "measured"));
    from += bytes;
  }
}

}  // namespace

Plot draw_layer_bytes(const ReportData& data) {
  struct Panel {
    const Edge* edge;
    std::map<int, LayerBytes> layers;
    bool is_measured;
  };
  std::vector<Panel> panels;
  double height = 30;
  for (const Edge& edge : kEdges) {
    Panel panel{.edge = &edge, .layers = {}, .is_measured = false};
    panel.layers = collect(data, edge, panel.is_measured);
    double most = 0;
    for (const auto& [layer, bytes] : panel.layers) {
      most = std::max({most, sum(bytes.predicted), sum(bytes.measured)});
    }
    if (most <= 0) continue;  // nothing comes from memory
    height += static_cast<double>(panel.layers.size()) * kRow + 74;
    panels.push_back(std::move(panel));
  }
  Svg svg(kWidth, height, "Bytes per layer at every cache edge, predicted and measured");
  double legend = kLeft;
  for (const Part part : kParts) {
    svg.rect(legend, 4, 10, 10, class_of(part));
    svg.text({legend + 14, 13}, label_of(part), "small");
    legend += 26 + 6.2 * static_cast<double>(std::string_view(label_of(part)).size());
  }
  double top = 30;
  for (const Panel& panel : panels) {
    double most = 0, predicted = 0, measured = 0;
    for (const auto& [layer, bytes] : panel.layers) {
      most = std::max({most, sum(bytes.predicted), sum(bytes.measured)});
      predicted += sum(bytes.predicted);
      measured += sum(bytes.measured);
    }
    const double bottom = top + 24 + static_cast<double>(panel.layers.size()) * kRow;
    svg.text({kLeft, top + 12},
             fmt::format("{}: {} predicted", panel.edge->name, bytes_label(predicted)) +
                 (panel.is_measured
                      ? fmt::format(", {} measured by {} (model {:+.1f} %)", bytes_label(measured),
                                    data.bytes->meter, 100 * (predicted / measured - 1))
                      : ", not measured"),
             "strong");
    const Scale x = Scale::linear(0, most / 1e6, kLeft, kRight);
    draw_x_axis(svg, x, top + 20, bottom, 6, "MB");
    double y = top + 24;
    const auto row = [&](int layer, const LayerBytes& bytes) {
      const std::string where = layer < 0 ? "around the layers" : fmt::format("layer {}", layer);
      svg.text({kLeft - 8, y + kBar + 4}, layer < 0 ? "around" : fmt::format("{}", layer), "tick",
               Anchor::end);
      const Scale scale = Scale::linear(0, most, kLeft, kRight);
      draw_bar(svg, scale, y, bytes.predicted, true, where);
      if (panel.is_measured) draw_bar(svg, scale, y + kBar + 1, bytes.measured, false, where);
      const double end = scale(std::max(sum(bytes.predicted), sum(bytes.measured)));
      if (panel.is_measured && sum(bytes.measured) > 0) {
        svg.text({end + 5, y + kBar + 4},
                 fmt::format("{:+.0f} %", 100 * (sum(bytes.predicted) / sum(bytes.measured) - 1)),
                 "small");
      }
      y += kRow;
    };
    for (const auto& [layer, bytes] : panel.layers) {
      if (layer >= 0) row(layer, bytes);
    }
    if (panel.layers.contains(-1)) row(-1, panel.layers.at(-1));
    top = bottom + 50;
  }
  return {"layer_bytes", "Bytes per layer",
          "Pale: predicted before anything ran. Full colour: measured. The figure at the end of a "
          "row is how far the model is off; layers by number, \"around\" is what stands before and "
          "after them. Fills and written-back lines count alike.",
          std::move(svg)};
}

}  // namespace tessera::plots
