// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/reference_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tessera/pipeline/about.hpp"
#include "tessera/pipeline/reference_tensors.hpp"

namespace tessera {
namespace {

ReferenceImages read(const SafetensorsFile& file, const models::Package& package,
                     bool interpolates_positions, ReferenceFile holds) {
  const ImageSpec& spec = require_images(package.program);
  for (const StoredTensor& tensor : file.tensors()) {
    if (holds == ReferenceFile::with_others) break;
    if (tensor.name == kPixelValues || (package.similarity && is_text_input(tensor.name))) continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("tensor {} is no input of {}, expected {}",
                            detail::in_quotes(tensor.name), package.architecture, kPixelValues));
  }
  const StoredTensor* const pixels = file.find(kPixelValues);
  if (pixels == nullptr) {
    throw Error(ErrorCode::not_found,
                fmt::format("got no tensor \"{}\", expected one of shape (B,{},H,W)", kPixelValues,
                            spec.channels));
  }
  if (pixels->type != StoredType::f32) {
    throw Error(ErrorCode::invalid_argument, fmt::format("tensor \"{}\" has type {}, expected F32",
                                                         kPixelValues, to_string(pixels->type)));
  }
  const std::vector<std::int64_t>& shape = pixels->shape;
  const bool is_good = shape.size() == 4 && shape[1] == spec.channels &&
                       std::ranges::all_of(shape, [](std::int64_t n) { return n > 0; });
  if (!is_good) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("tensor \"{}\" has shape {}, expected (B,{},H,W)", kPixelValues,
                            shape_to_string(shape), spec.channels));
  }
  ReferenceImages images{.count = shape[0],
                         .height = shape[2],
                         .width = shape[3],
                         .rows = image_rows(spec, shape[2], shape[3], interpolates_positions),
                         .values = {},
                         .interpolates_positions = interpolates_positions};
  images.values.resize(static_cast<std::size_t>(pixels->elements()));
  std::memcpy(images.values.data(), pixels->data, pixels->bytes);
  return images;
}

}  // namespace

ReferenceImages ReferenceImages::open(const std::string& path, const models::Package& package,
                                      bool interpolates_positions, ReferenceFile holds) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  return about(path, [&] { return read(file, package, interpolates_positions, holds); });
}

void ReferenceImageEncoder::run(const ReferenceImages& images, const Sink& sink,
                                const ProgressCallback& progress) {
  const Index room =
      image_room(package().program, images.height, images.width, images.interpolates_positions);
  const Index together =
      std::clamp<Index>(options().batch_tokens / room, 1, options().batch_sequences);
  const std::size_t floats = images.values.size() / static_cast<std::size_t>(images.count);
  for (Index begin = 0; begin < images.count; begin += together) {
    const Index count = std::min(together, images.count - begin);
    std::vector<Image> batch;
    for (Index i = begin; i < begin + count; ++i) {
      batch.push_back({.planes = images.values.data() + static_cast<std::size_t>(i) * floats,
                       .height = images.height,
                       .width = images.width});
    }
    std::vector<std::size_t> chosen(batch.size());
    std::iota(chosen.begin(), chosen.end(), std::size_t{0});
    reserve(count * room, count);
    runner().run(
        session(), batch, images.interpolates_positions, chosen,
        [&](std::size_t i, Results results) { sink(static_cast<std::size_t>(begin) + i, results); },
        {});
    if (progress) {
      progress(static_cast<std::size_t>(begin + count), static_cast<std::size_t>(images.count));
    }
  }
}

}  // namespace tessera
