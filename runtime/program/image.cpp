// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/image.hpp"

#include <fmt/format.h>

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
  constexpr Index kMost = std::numeric_limits<std::int32_t>::max();
  const auto [rows, cols] = spec.grid_of(height, width);
  if (rows > (kMost - spec.special_tokens) / cols) {
    refuse(fmt::format("at most {} patches", kMost - spec.special_tokens));
  }
  return spec.special_tokens + rows * cols;
}

}  // namespace tessera
