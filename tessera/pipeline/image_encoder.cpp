// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/image_encoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "runtime/threads/threads.hpp"

namespace tessera {
namespace {

constexpr int kMostLoaders = 16;

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// What every image becomes, if that does not depend on the image.
std::optional<image::Size> fixed_size(const image::PreprocessorConfig& config) {
  if (config.crop) return config.crop;
  return config.does_resize ? config.size : std::nullopt;
}

void check_channels(const models::Package& package) {
  const ImageSpec* images = package.program.images();
  const Index channels = images == nullptr ? 0 : images->channels;
  if (channels == image::kChannels) return;
  throw Error(ErrorCode::unsupported_model,
              fmt::format("{}: {} takes {}, expected a model of images of {} channels",
                          package.directory.string(), package.architecture,
                          channels == 0 ? "texts" : fmt::format("images of {} channels", channels),
                          image::kChannels));
}

}  // namespace

// The images of the batch that is being put together.
struct ImageEncoder::Pending {
  std::vector<Image> images;
  std::vector<std::size_t> chosen;   // 0 … images-1
  std::vector<std::size_t> indices;  // of their files
  Index rows = 0;                    // of their tokens
  std::size_t next = 0;              // the file after the last one looked at
};

ImageEncoder::ImageEncoder(std::shared_ptr<const models::Package> package, EncoderOptions options,
                           ImageOptions image_options)
    : Encoder((check_channels(*package), std::move(package)), std::move(options)),
      preprocessor_(image::read_preprocessor_config(this->package().transformer_directory,
                                                    this->package().model_type)),
      image_options_(image_options) {
  if (image_options_.loaders <= 0) {
    image_options_.loaders = std::min(default_thread_count(), kMostLoaders);
  }
  const auto size = fixed_size(preprocessor_.config());
  if (!size) return;
  try {
    image_rows(*this->package().program.images(), size->height, size->width,
               image_options_.interpolate_positions);
  } catch (const Error& e) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: what preprocessor_config.json makes of images: {}",
                            this->package().directory.string(), e.what()));
  }
}

// Waits for the first image only: what is not ready by then goes into the next batch.
void ImageEncoder::take_ready(std::span<const std::filesystem::path> files, ImageLoader& loader,
                              const FailureSink& failed, Pending& pending, ImageStats& stats) {
  pending.images.clear();
  pending.indices.clear();
  pending.chosen.clear();
  pending.rows = 0;
  const auto most = static_cast<std::size_t>(options().batch_sequences);
  for (const std::size_t first = pending.next;
       pending.next < files.size() && pending.images.size() < most; ++pending.next) {
    const std::size_t index = pending.next;
    if (index > first && !loader.is_ready(index)) return;
    const Stopwatch wait;
    const LoadedImage& loaded = loader.at(index);
    stats.waiting += wait.seconds();
    std::optional<Error> problem = loaded.problem;
    Index rows = 0;
    const image::PreparedImage& image = loaded.image;
    if (!problem) {
      try {
        rows = image_room(package().program, image.height, image.width,
                          image_options_.interpolate_positions);
      } catch (const Error& e) {
        problem = Error(e.code(), fmt::format("{}: {}", files[index].string(), e.what()));
      }
    }
    if (problem) {
      ++stats.failed;
      failed(index, *problem);
      continue;
    }
    if (pending.rows > 0 && pending.rows + rows > options().batch_tokens) return;
    pending.rows += rows;
    pending.chosen.push_back(pending.images.size());
    pending.images.push_back(preprocessor_.view(image));
    pending.indices.push_back(index);
  }
}

ImageStats ImageEncoder::run(std::span<const std::filesystem::path> files, const Sink& sink,
                             const FailureSink& failed, const ProgressCallback& progress,
                             const RunControl& control) {
  ImageStats stats;
  if (files.empty()) return stats;
  const Stopwatch all;
  const ImageSpec& spec = *package().program.images();
  const auto size = fixed_size(preprocessor_.config());
  const Index rows = size ? image_room(package().program, size->height, size->width,
                                       image_options_.interpolate_positions)
                          : spec.native_rows();
  const Index together =
      std::clamp<Index>(options().batch_tokens / rows, 1, options().batch_sequences);
  const auto window = static_cast<std::size_t>(2 * together + image_options_.loaders);
  const ImageFiles source(files, image_options_.limits);
  ImageLoader loader(source, preprocessor_, image_options_.limits.result_pixels,
                     image_options_.loaders, window);
  const Index expected = std::min(together, std::ssize(files));
  reserve(expected * rows, expected);

  Pending pending;
  while (pending.next < files.size()) {
    take_ready(files, loader, failed, pending, stats);
    if (!pending.images.empty()) {
      const Stopwatch batch;
      double giving = 0;  // in the sink
      reserve(pending.rows, std::ssize(pending.images));
      runner().run(
          session(), pending.images, image_options_.interpolate_positions, pending.chosen,
          [&](std::size_t s, Results results) {
            const Stopwatch one;
            sink(pending.indices[s], results);
            giving += one.seconds();
          },
          control);
      stats.computing += batch.seconds() - giving;
      ++stats.batches;
      stats.images += pending.images.size();
    }
    loader.release(pending.next);
    if (progress) progress(pending.next, files.size());
  }
  stats.loading = loader.times();
  stats.all = all.seconds();
  return stats;
}

}  // namespace tessera
