// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "tessera/report/plots.hpp"

namespace tessera::plots {

Plot draw_arena(const ReportData& data) {
  constexpr double kWidth = 760, kHeight = 330, kLeft = 62, kRight = 744, kTop = 34, kBottom = 284;
  const std::vector<Place> places = places_of(data.program);
  const auto ops = static_cast<double>(std::max<std::size_t>(data.program.ops.size(), 1));
  const double bytes = std::max(1.0, static_cast<double>(data.memory.bytes));
  const Scale x = Scale::linear(0, ops, kLeft, kRight),
              y = Scale::linear(0, bytes / 1e6, kBottom, kTop);
  Svg svg(kWidth, kHeight, "Arena: where every value lives, op by op");
  draw_x_axis(svg, x, kTop, kBottom, 10, "op");
  draw_y_axis(svg, y, kLeft, kRight, 5, "MB from the start of the arena");
  for (std::size_t v = 0; v < data.memory.slots.size(); ++v) {
    const MemorySlot& slot = data.memory.slots[v];
    if (slot.bytes == 0) continue;
    Part part = Part::other;
    for (std::size_t i = 0; i < data.program.ops.size(); ++i) {
      if (output_of(data.program.ops[i]) == static_cast<ValueId>(v)) part = places[i].part;
    }
    const double from = static_cast<double>(slot.offset) / 1e6,
                 to = from + static_cast<double>(slot.bytes) / 1e6,
                 first = static_cast<double>(slot.first_op),
                 after = static_cast<double>(slot.last_op + 1);
    svg.rect(
        x(first), y(to), x(after) - x(first), y(from) - y(to),
        std::string(class_of(part)) + " edge",
        fmt::format("{}\n{} at {}, ops {} to {}", data.program.values[v].name,
                    bytes_label(static_cast<double>(slot.bytes)),
                    bytes_label(static_cast<double>(slot.offset)), slot.first_op, slot.last_op));
  }
  const double bound = static_cast<double>(data.memory.lower_bound) / 1e6;
  svg.line({kLeft, y(bound)}, {kRight, y(bound)}, "mark");
  double legend = kLeft;
  for (const Part part : kParts) {
    svg.rect(legend, kHeight - 13, 10, 10, class_of(part));
    svg.text({legend + 14, kHeight - 4}, label_of(part), "small");
    legend += 26 + 6.2 * static_cast<double>(std::string_view(label_of(part)).size());
  }
  const auto of_blocks = static_cast<double>(data.memory.block_bytes);
  return {
      "arena", "The arena over time",
      fmt::format("Values of this batch by the op that writes them: {} in all, where the most "
                  "that is live at one op (dashed) is {}. A block begins with the op that "
                  "writes it and ends with the last that reads it; an op that works in place "
                  "takes over its input's block.{}",
                  bytes_label(bytes), bytes_label(bound * 1e6),
                  of_blocks == 0 ? ""
                                 : fmt::format(" What only a chain of ops uses is not drawn: it "
                                               "lies in {} of each worker, block after block.",
                                               bytes_label(of_blocks))),
      std::move(svg)};
}

std::vector<Plot> draw_all(const ReportData& data) {
  std::vector<Plot> plots;
  plots.push_back(draw_roofline(data));
  plots.push_back(draw_layer_bytes(data));
  plots.push_back(draw_crossover(data));
  plots.push_back(draw_arena(data));
  return plots;
}

}  // namespace tessera::plots
