// SPDX-License-Identifier: Apache-2.0
//
// The pipeline from image files to results: loaders decode and resize ahead of the encoder.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/image_loader.hpp"

namespace tessera {

struct ImageOptions {
  ImageLimits limits{};
  int loaders = 0;  ///< threads that load; 0: one per CPU that the process may use, at most 16
  /// Images of other sizes than the model's own, where it interpolates its positions.
  bool interpolate_positions = false;
};

/// Where the time of a run went, in seconds.
struct ImageStats {
  std::size_t images = 0, failed = 0, batches = 0;
  double all = 0;        ///< the run
  double computing = 0;  ///< of it, in the encoder
  double waiting = 0;    ///< of it, for images
  LoadTimes loading{};   ///< CPU time of the loaders, beside the run
};

/// Called for each file that gave no result, in the order of the files.
using FailureSink = std::function<void(std::size_t index, const Error& error)>;

/// Encodes image files. One call at a time.
///
/// Memory    beside the arena: the loaders' buffers, each as large as the largest image, and
///           preprocessed images for two batches
/// Numerics  the results of an image do not depend on the other images, batches or threads
class ImageEncoder : public Encoder {
 public:
  /// Reads preprocessor_config.json of the package. Throws Error as Encoder() and
  /// read_preprocessor_config() do; unsupported_model if the model takes no images of three
  /// channels, or the preprocessor's size is none that it takes.
  ImageEncoder(std::shared_ptr<const models::Package> package, EncoderOptions options,
               ImageOptions image_options = {});

  const image::Preprocessor& preprocessor() const noexcept { return preprocessor_; }

  /// Computes the outputs of every file. `sink` and `failed` are called in the order of `files`,
  /// each for itself; a file that fails leaves the others as they are. `control` ends it between
  /// batches and within them.
  ImageStats run(std::span<const std::filesystem::path> files, const Sink& sink,
                 const FailureSink& failed, const ProgressCallback& progress = {},
                 const RunControl& control = {});

 private:
  struct Pending;
  void take_ready(std::span<const std::filesystem::path> files, ImageLoader& loader,
                  const FailureSink& failed, Pending& pending, ImageStats& stats);

  image::Preprocessor preprocessor_;
  ImageOptions image_options_;
};

}  // namespace tessera
