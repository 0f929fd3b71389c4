// SPDX-License-Identifier: Apache-2.0
#include "models/image/preprocessor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera::image {
namespace {

// ⌊(size − crop)/2⌋, also below zero: where the crop begins; or rounded, half to even.
Index crop_begin(Index size, Index crop, bool rounds) {
  const Index twice = size - crop;
  if (rounds && twice % 4 == 3) return twice / 2 + 1;
  return twice >= 0 ? twice / 2 : -((1 - twice) / 2);
}

}  // namespace

Preprocessor::Preprocessor(PreprocessorConfig config) : config_(std::move(config)) {
  values_.resize(static_cast<std::size_t>(kChannels) * 256);
  for (std::size_t c = 0; c < static_cast<std::size_t>(kChannels); ++c) {
    // image = rescale(image): astype(float64) * scale, astype(float32)
    // image = normalize(image): (image - mean) / std, mean and std as float32
    for (std::size_t byte = 0; byte < 256; ++byte) {
      auto value = static_cast<float>(byte);
      if (config_.does_rescale) {
        value = static_cast<float>(static_cast<double>(byte) * config_.rescale_factor);
      }
      values_[c * 256 + byte] = value_of(c, value);
    }
  }
}

float Preprocessor::value_of(std::size_t channel, float rescaled) const noexcept {
  if (!config_.does_normalize) return rescaled;
  return (rescaled - static_cast<float>(config_.mean[channel])) /
         static_cast<float>(config_.std[channel]);
}

// get_resize_output_image_size() of transformers.image_transforms, default_to_square=False
Size Preprocessor::resized(Size in) const {
  if (!config_.does_resize) return in;
  if (config_.size) return *config_.size;
  const Index edge = *config_.shortest_edge;
  const Index shorter = std::min(in.height, in.width), longer = std::max(in.height, in.width);
  // int(size * long / short): a quotient of integers in double
  const auto other =
      static_cast<Index>(static_cast<double>(edge * longer) / static_cast<double>(shorter));
  return in.width <= in.height ? Size{other, edge} : Size{edge, other};
}

Size Preprocessor::result_size(Size in) const {
  return config_.crop ? *config_.crop : resized(in);
}

void Preprocessor::run(const RgbImage& in, Workspace& workspace, PreparedImage& out,
                       Index max_pixels) const {
  const Size result = result_size({in.height, in.width});
  if (result.height < 1 || result.width < 1 || result.height > max_pixels / result.width) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("got an image of {} x {} pixels, which becomes {} x {}, expected at "
                            "most {} pixels",
                            in.width, in.height, result.width, result.height, max_pixels));
  }
  out.height = result.height;
  out.width = result.width;
  if (config_.keeps_fractions) {
    run_values(in, workspace, out.planes);
  } else {
    run_bytes(in, workspace, out.bytes);
  }
}

Image Preprocessor::view(const PreparedImage& prepared) const noexcept {
  if (config_.keeps_fractions) {
    return {.planes = prepared.planes.data(), .height = prepared.height, .width = prepared.width};
  }
  return {.pixels = prepared.bytes.pixels.data(),
          .values = values_.data(),
          .height = prepared.height,
          .width = prepared.width};
}

// image = rescale(image); image = resize(image); image = normalize(image), all in f32; the first two are
// linear and change places                  image_processing_dinov3_vit_fast.py _preprocess
void Preprocessor::run_values(const RgbImage& in, Workspace& workspace,
                              std::vector<float>& planes) const {
  const Size size = resized({in.height, in.width});
  resize_values(in, size.width, size.height, config_.filter, workspace.row, planes);
  const auto factor = static_cast<float>(config_.rescale_factor);
  const auto area = static_cast<std::size_t>(size.height * size.width);
  for (std::size_t i = 0; i < planes.size(); ++i) {
    planes[i] = value_of(i / area, planes[i] * factor);
  }
}

void Preprocessor::run_bytes(const RgbImage& in, Workspace& workspace, RgbImage& out) const {
  const Size whole = resized({in.height, in.width});
  if (!config_.crop) {
    resize(in, whole.width, whole.height, config_.filter, {0, 0, whole.width, whole.height},
           workspace.resampler, out);
    return;
  }
  // center_crop(): what of the resized image lies in the window; only that is computed.
  const Size result = *config_.crop;
  const Index top = crop_begin(whole.height, result.height, config_.crop_rounds),
              left = crop_begin(whole.width, result.width, config_.crop_rounds);
  const Index y0 = std::max(top, Index{0}), y1 = std::min(top + result.height, whole.height);
  const Index x0 = std::max(left, Index{0}), x1 = std::min(left + result.width, whole.width);
  const Window window{.left = x0, .top = y0, .width = x1 - x0, .height = y1 - y0};
  if (window.width == result.width && window.height == result.height) {
    resize(in, whole.width, whole.height, config_.filter, window, workspace.resampler, out);
    return;
  }
  resize(in, whole.width, whole.height, config_.filter, window, workspace.resampler,
         workspace.part);
  out.resize(result.width, result.height);
  std::fill(out.pixels.begin(), out.pixels.end(), std::uint8_t{0});
  for (Index y = 0; y < window.height; ++y) {
    std::memcpy(out.row(y0 - top + y) + (x0 - left) * kChannels, workspace.part.row(y),
                static_cast<std::size_t>(window.width * kChannels));
  }
}

}  // namespace tessera::image
