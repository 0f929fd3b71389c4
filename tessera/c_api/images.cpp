// SPDX-License-Identifier: Apache-2.0
//
// Pixels and image files: preprocessed as the checkpoint's preprocessor_config.json says, then
// encoded as any other batch.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "models/image/decode.hpp"
#include "models/image/preprocessor.hpp"
#include "runtime/threads/threads.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/encode.hpp"
#include "tessera/c_api/guard.hpp"
#include "tessera/c_api/item_statuses.hpp"
#include "tessera/pipeline/image_loader.hpp"

namespace tessera::c_api {
namespace {

constexpr Index kMostPixels = Index{1} << 28;  // given as pixels
constexpr int kMostLoaders = 16;

const image::Preprocessor& preprocessor_of(const SessionObject& session) {
  const ModelObject& model = *session.model;
  require(model.package().program.images() != nullptr,
          "got images, expected tokens: the model takes texts");
  if (!model.preprocessor()) {
    throw Error(ErrorCode::not_found, "no preprocessor: " + model.preprocessor_problem());
  }
  return *model.preprocessor();
}

/// The caller's planes as bytes, each value the nearest of k / 255.
void copy_planes(const tessera_pixels& given, image::RgbImage& out) {
  const Index channels = given.channels, pixels = given.height * given.width;
  const float* const planes = checked(given.planes, "images[].planes");
  out.resize(given.width, given.height);
  for (Index c = 0; c < image::kChannels; ++c) {
    const float* const plane = planes + (channels == 1 ? 0 : c) * pixels;
    for (Index i = 0; i < pixels; ++i) {
      const float value = plane[i];
      require(value >= 0 && value <= 1, "plane {}, pixel {} is {}, expected 0 to 1", c, i, value);
      out.pixels[static_cast<std::size_t>(i * image::kChannels + c)] =
          static_cast<std::uint8_t>(value * 255.0F + 0.5F);
    }
  }
}

/// The caller's rows as RGB: grey is repeated, alpha is dropped, as Pillow's convert("RGB") does.
void copy_rgb(const tessera_pixels& given, std::size_t index, Index most_pixels,
              image::RgbImage& out) {
  const Index channels = given.channels;
  require(channels == 1 || channels == 3 || channels == 4,
          "images[{}].channels is {}, expected 1, 3 or 4", index, given.channels);
  const std::uint32_t format = checked_enum(given.format, TESSERA_PIXELS_PLANES, "images[].format");
  require(given.height >= 1 && given.width >= 1 && given.height <= most_pixels &&
              given.width <= most_pixels / given.height,
          "images[{}] is {} x {} pixels, expected 1 to {} in all", index, given.height, given.width,
          most_pixels);
  if (format == TESSERA_PIXELS_PLANES) {
    require(given.data == nullptr && given.row_stride == 0,
            "images[{}].data and row_stride are given, expected NULL and 0 with planes", index);
    return copy_planes(given, out);
  }
  require(given.planes == nullptr, "images[{}].planes is given, expected NULL with bytes", index);
  checked(given.data, "images[].data");
  const Index stride = given.row_stride == 0 ? given.width * channels : given.row_stride;
  require(stride >= given.width * channels,
          "images[{}].row_stride is {}, expected at least {} bytes, or 0", index, stride,
          given.width * channels);
  require(stride <= PTRDIFF_MAX / given.height,
          "images[{}] has {} rows {} bytes apart, expected less than the address space", index,
          given.height, stride);
  out.resize(given.width, given.height);
  const Index last = channels == 1 ? 0 : 2, green = channels == 1 ? 0 : 1;
  const Index red = format == TESSERA_PIXELS_BGR ? last : 0, blue = last - red;
  for (Index y = 0; y < given.height; ++y) {
    const std::uint8_t* from = given.data + y * stride;
    std::uint8_t* to = out.row(y);
    for (Index x = 0; x < given.width; ++x, from += channels, to += image::kChannels) {
      to[0] = from[red];
      to[1] = from[green];
      to[2] = from[blue];
    }
  }
}

/// The caller's pixels.
class PixelSource : public ImageSource {
 public:
  PixelSource(const tessera_pixels* images, std::size_t count, Index max_pixels)
      : images_(images), count_(count), max_pixels_(max_pixels > 0 ? max_pixels : kMostPixels) {
    if (count > 0) require(images != nullptr, "images is NULL, expected a pointer");
  }
  std::size_t size() const override { return count_; }
  std::string name(std::size_t /*index*/) const override { return {}; }
  void decode(std::size_t index, std::vector<std::uint8_t>& /*bytes*/, image::RgbImage& out,
              LoadTimes& /*times*/) const override {
    copy_rgb(read_element(images_, index, "images"), index, max_pixels_, out);
  }

 private:
  const tessera_pixels* images_;
  std::size_t count_;
  Index max_pixels_;
};

image::DecodeLimits decode_limits(Index max_pixels) {
  image::DecodeLimits limits;
  if (max_pixels > 0) limits.max_pixels = max_pixels;
  return limits;
}

/// The caller's files in memory.
class FileSource : public ImageSource {
 public:
  FileSource(const tessera_file* files, std::size_t count, Index max_pixels)
      : files_(files), count_(count), limits_(decode_limits(max_pixels)) {
    if (count > 0) require(files != nullptr, "files is NULL, expected a pointer");
  }
  std::size_t size() const override { return count_; }
  std::string name(std::size_t /*index*/) const override { return {}; }
  void decode(std::size_t index, std::vector<std::uint8_t>& /*bytes*/, image::RgbImage& out,
              LoadTimes& /*times*/) const override {
    const tessera_file file = read_element(files_, index, "files");
    const auto bytes =
        checked_span(static_cast<const std::uint8_t*>(file.data), file.size, "files[].data");
    image::decode(bytes, file.name == nullptr ? "file" : file.name, limits_, out);
  }

 private:
  const tessera_file* files_;
  std::size_t count_;
  image::DecodeLimits limits_;
};

/// As many as the session has threads. A caller with a pool of its own, or one image, gets none.
int loaders_for(const SessionObject& session, std::size_t count) {
  const SessionOptions& options = session.session->options();
  if (options.parallel_for.run != nullptr || count <= 1) return 0;
  const int threads = options.threads > 0 ? options.threads : default_thread_count();
  return threads > 1 ? std::min(threads, kMostLoaders) : 0;
}

/// The space of the outputs with a row per cell: one, so that one row_offsets is true of all of them.
SpaceId space_of_rows(const ModelObject& model, std::size_t most, const tessera_output* outputs,
                      std::size_t count) {
  SpaceId space = kSequences;
  std::string name;
  if (count > most) return kTokens;  // none is read: read_targets() refuses
  for (std::size_t i = 0; i < count; ++i) {
    const Output& output = model.output(read_element(outputs, i, "outputs").name);
    const SpaceId its = model.value(output).space;
    if (its == kSequences) continue;
    require(
        space == kSequences || its == space,
        "outputs[{}] is \"{}\", whose rows of an image are others than those of \"{}\", expected "
        "outputs with the same rows in one call",
        i, output.name, name);
    space = its;
    name = output.name;
  }
  return space == kSequences ? kTokens : space;
}

/// Loads all images, so that nothing is written if one of them cannot be and no statuses are wanted;
/// then encodes.
void encode_images(SharedSession& shared, const ImageSource& source, const RunLimits& limits,
                   const tessera_output* outputs, std::size_t output_count,
                   std::int64_t* row_offsets) {
  const SessionObject& any = shared.any();
  const image::Preprocessor& preprocessor = preprocessor_of(any);
  const Program& program = any.model->package().program;
  const std::size_t count = source.size();
  require(std::cmp_less(count, PTRDIFF_MAX / sizeof(LoadedImage)),
          "image_count is {}, expected less", count);
  if (row_offsets != nullptr) checked(row_offsets, "row_offsets");
  ItemStatuses items(limits.item_status, "image");
  items.begin(count);
  ImageLoader loader(source, preprocessor, ImageLimits{}.result_pixels, loaders_for(any, count),
                     std::max<std::size_t>(count, 1));
  const Index max_rows = any.session->options().max_rows;
  std::vector<Image> images;
  const SpaceId space = space_of_rows(*any.model, any.outputs.size(), outputs, output_count);
  std::vector<std::int64_t> row_ends{0}, room_ends{0};  // (S+1)
  for (std::size_t s = 0; s < count; ++s) {
    limits.check();
    try {
      const LoadedImage& loaded = loader.at(s);
      if (loaded.problem) throw Error(*loaded.problem);
      const auto [height, width] = std::pair(loaded.image.height, loaded.image.width);
      const Index room = image_room(program, height, width, limits.interpolates),
                  rows = image_rows(*program.images(), height, width, limits.interpolates);
      require(!items.are_wanted() || room <= max_rows,
              "got {} rows, expected at most {} (the session's max_rows)", room, max_rows);
      images.push_back(preprocessor.view(loaded.image));
      row_ends.push_back(row_ends.back() + rows_in(program, space, height, width, rows));
      room_ends.push_back(room_ends.back() + room);
      items.keep(s);
    } catch (const Error& error) {
      items.fail(s, error);
      row_ends.push_back(row_ends.back());
      room_ends.push_back(room_ends.back());
    }
  }
  const std::vector<std::int64_t> offsets = items.kept_offsets(room_ends),
                                  rows = items.kept_offsets(row_ends);
  const Turn turn(shared, limits);  // others may use the session while images are decoded
  SessionObject& session = turn.lane();
  check_limits(session, offsets);
  read_targets(session, outputs, output_count, rows, count, items.kept());
  encode_in_batches(session, offsets, rows, limits, [&](const auto& chosen, const Sink& sink) {
    session.runner.run(*session.session, images, limits.interpolates, chosen, sink,
                       limits.control());
  });
  if (row_offsets != nullptr) std::copy(row_ends.begin(), row_ends.end(), row_offsets);
  items.write();
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
    const std::shared_ptr<SharedSession> object = session_table().get(session);
    const RunLimits limits = read_run_options(options);
    encode_images(*object, PixelSource(images, image_count, limits.max_pixels), limits, outputs,
                  output_count, row_offsets);
  });
}

tessera_status tessera_encode_images(tessera_session* session, const tessera_file* files,
                                     size_t file_count, const tessera_run_options* options,
                                     const tessera_output* outputs, size_t output_count,
                                     int64_t* row_offsets) {
  return guard([&] {
    const std::shared_ptr<SharedSession> object = session_table().get(session);
    const RunLimits limits = read_run_options(options);
    encode_images(*object, FileSource(files, file_count, limits.max_pixels), limits, outputs,
                  output_count, row_offsets);
  });
}

tessera_status tessera_encode_image_files(tessera_session* session, const char* const* paths,
                                          size_t path_count, const tessera_run_options* options,
                                          const tessera_output* outputs, size_t output_count,
                                          int64_t* row_offsets) {
  return guard([&] {
    const std::shared_ptr<SharedSession> object = session_table().get(session);
    const RunLimits limits = read_run_options(options);
    const std::vector<std::string> names = read_names(paths, path_count, "paths");
    const std::vector<std::filesystem::path> files(names.begin(), names.end());
    encode_images(*object, ImageFiles(files, {.decode = decode_limits(limits.max_pixels)}), limits,
                  outputs, output_count, row_offsets);
  });
}
