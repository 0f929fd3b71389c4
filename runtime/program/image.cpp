// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/base/error.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

Index image_rows(const ImageSpec& spec, Index height, Index width, bool interpolate) {
  const auto refuse = [&](const std::string& expected) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("image: size is {} x {} (height x width), expected {}", height, width,
                            expected));
  };
  const bool is_native = height == spec.height && width == spec.width;
  if (!is_native && spec.sizes == ImageSizes::native) {
    refuse(fmt::format("{} x {}, the only size that the model takes", spec.height, spec.width));
  }
  if (!is_native && spec.sizes == ImageSizes::on_asking && !interpolate) {
    refuse(fmt::format("{} x {} unless positions are interpolated (interpolate_positions)",
                       spec.height, spec.width));
  }
  if (height < 1 || width < 1 ||
      (!spec.pads && (height < spec.patch_height || width < spec.patch_width))) {
    refuse(fmt::format("at least one patch of {} x {}", spec.patch_height, spec.patch_width));
  }
  if (height < spec.least_height || width < spec.least_width) {
    refuse(fmt::format("at least {} x {}: a window of the model would be larger than the map",
                       spec.least_height, spec.least_width));
  }
  constexpr Index kMost = std::numeric_limits<std::int32_t>::max();
  const auto [rows, cols] = spec.grid_of(height, width);
  if (rows > (kMost - spec.special_tokens) / cols) {
    refuse(fmt::format("at most {} patches", kMost - spec.special_tokens));
  }
  return spec.special_tokens + rows * cols;
}

Index rows_in(const Program& program, SpaceId space, Index height, Index width,
              Index rows) noexcept {
  if (space == kSequences) return 1;
  if (!has_maps(program.spaces, space)) return rows;
  return map_of(program.spaces, space, program.images()->grid_of(height, width)).cells();
}

Index image_room(const Program& program, Index height, Index width, bool interpolate) {
  const ImageSpec& spec = require_images(program);
  const Index rows = image_rows(spec, height, width, interpolate);
  const std::span<const Space> spaces = program.spaces;
  if (!has_maps(spaces, kTokens)) return rows;
  const std::vector<Extents> its = extents_of_image(spaces, spec.grid_of(height, width)),
                             native = extents_of_image(spaces, spaces[at(kTokens)].native);
  Index room = rows;
  for (std::size_t i = 1; i < spaces.size(); ++i) {
    if (native[i].rows == 0) continue;
    const Index rows_of_native = its[i].rows * native[at(kTokens)].rows;
    room = std::max(room, (rows_of_native + native[i].rows - 1) / native[i].rows);
  }
  return room;
}

}  // namespace tessera
