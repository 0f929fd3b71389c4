// SPDX-License-Identifier: Apache-2.0
//
// Pixels and image files: preprocessed as the checkpoint's preprocessor_config.json says, then
// encoded as any other batch.
#include <cstdint>
#include <utility>
#include <vector>

#include "models/image/decode.hpp"
#include "models/image/preprocessor.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/encode.hpp"
#include "tessera/c_api/guard.hpp"

namespace tessera::c_api {
namespace {

constexpr Index kMostPixels = Index{1} << 28;

const image::Preprocessor& preprocessor_of(const SessionObject& session) {
  const ModelObject& model = *session.model;
  require(model.package().program.images.channels > 0,
          "got images, expected tokens: the model takes texts");
  if (!model.preprocessor()) {
    throw Error(ErrorCode::not_found, "no preprocessor: " + model.preprocessor_problem());
  }
  return *model.preprocessor();
}

/// The caller's rows as RGB: grey is repeated, alpha is dropped, as Pillow's convert("RGB") does.
void copy_rgb(const tessera_pixels& given, std::size_t index, image::RgbImage& out) {
  const Index channels = given.channels;
  require(channels == 1 || channels == 3 || channels == 4,
          "images[{}].channels is {}, expected 1, 3 or 4", index, given.channels);
  require(given.height >= 1 && given.width >= 1 && given.height <= kMostPixels &&
              given.width <= kMostPixels / given.height,
          "images[{}] is {} x {} pixels, expected 1 to {} in all", index, given.height, given.width,
          kMostPixels);
  checked(given.data, "images[].data");
  const Index stride = given.row_stride == 0 ? given.width * channels : given.row_stride;
  require(stride >= given.width * channels,
          "images[{}].row_stride is {}, expected at least {} bytes, or 0", index, stride,
          given.width * channels);
  out.resize(given.width, given.height);
  const Index green = channels == 1 ? 0 : 1, blue = channels == 1 ? 0 : 2;
  for (Index y = 0; y < given.height; ++y) {
    const std::uint8_t* from = given.data + y * stride;
    std::uint8_t* to = out.row(y);
    for (Index x = 0; x < given.width; ++x, from += channels, to += image::kChannels) {
      to[0] = from[0];
      to[1] = from[green];
      to[2] = from[blue];
    }
  }
}

/// load(index, image) for every image, then preprocessing and encoding.
template <class Load>
void encode_images(SessionObject& session, std::size_t count, const RunLimits& limits,
                   const tessera_output* outputs, std::size_t output_count,
                   std::int64_t* row_offsets, Load load) {
  const image::Preprocessor& preprocessor = preprocessor_of(session);
  const ImageSpec& spec = session.model->package().program.images;
  require(std::cmp_less(count, PTRDIFF_MAX / sizeof(image::RgbImage)),
          "image_count is {}, expected less", count);
  std::vector<image::RgbImage> ready(count);
  std::vector<Image> images(count);
  std::vector<std::int64_t> offsets{0};
  image::Preprocessor::Workspace workspace;
  image::RgbImage loaded;
  for (std::size_t s = 0; s < count; ++s) {
    limits.check();
    try {
      load(s, loaded);
      preprocessor.run(loaded, workspace, ready[s]);
      images[s] = {.pixels = ready[s].pixels.data(),
                   .values = preprocessor.values().data(),
                   .height = ready[s].height,
                   .width = ready[s].width};
      offsets.push_back(offsets.back() +
                        image_rows(spec, images[s].height, images[s].width, limits.interpolates));
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("image {}: {}", s, error.what()));
    }
  }
  check_limits(session, offsets);
  read_targets(session, outputs, output_count, offsets);
  if (row_offsets != nullptr) checked(row_offsets, "row_offsets");
  encode_in_runs(session, offsets, limits, [&](std::size_t first, std::size_t last) {
    session.session->run({.images = std::span(images).subspan(first, last - first),
                          .interpolate_positions = limits.interpolates},
                         limits.control());
  });
  if (row_offsets != nullptr) std::copy(offsets.begin(), offsets.end(), row_offsets);
}

}  // namespace
}  // namespace tessera::c_api

using namespace tessera;         // NOLINT(google-build-using-namespace): C symbols have none
using namespace tessera::c_api;  // NOLINT(google-build-using-namespace)

tessera_status tessera_encode_pixels(tessera_session* session, const tessera_pixels* images,
                                     size_t image_count, const tessera_run_options* options,
                                     const tessera_output* outputs, size_t output_count,
                                     int64_t* row_offsets) {
  return guard([&] {
    const std::shared_ptr<SessionObject> object = session_table().get(session);
    const Turn turn(*object);
    encode_images(*object, image_count, read_run_options(options), outputs, output_count,
                  row_offsets, [&](std::size_t s, image::RgbImage& out) {
                    copy_rgb(read_element(images, s, "images"), s, out);
                  });
  });
}

tessera_status tessera_encode_images(tessera_session* session, const tessera_file* files,
                                     size_t file_count, const tessera_run_options* options,
                                     const tessera_output* outputs, size_t output_count,
                                     int64_t* row_offsets) {
  return guard([&] {
    const std::shared_ptr<SessionObject> object = session_table().get(session);
    const Turn turn(*object);
    encode_images(*object, file_count, read_run_options(options), outputs, output_count,
                  row_offsets, [&](std::size_t s, image::RgbImage& out) {
                    const tessera_file file = read_element(files, s, "files");
                    const auto bytes = checked_span(static_cast<const std::uint8_t*>(file.data),
                                                    file.size, "files[].data");
                    const std::string name = file.name == nullptr ? "file" : file.name;
                    image::decode(bytes, name, {}, out);
                  });
  });
}
