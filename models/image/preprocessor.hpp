// SPDX-License-Identifier: Apache-2.0
//
// What preprocessor_config.json says, done as the reference's image processors do it:
//
//   RGB ─ resize ─ centre crop ─▶ 8-bit pixels ─ rescale, normalise ─▶ values
//
// The last two steps are one function of a byte and its channel, so they are a table: what a model
// gets is exact for every pixel, and no float image is ever stored.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/image/resize.hpp"

namespace tessera::image {

struct Size {
  Index height = 0, width = 0;
};

/// The settings of one processor.
struct PreprocessorConfig {
  std::string class_name;  ///< "CLIPImageProcessor"
  bool does_resize = true;
  std::optional<Size> size;            ///< resized to exactly this,
  std::optional<Index> shortest_edge;  ///< or to this on the shorter side
  Filter filter = Filter::bilinear;
  std::optional<Size> crop;  ///< then cut out of the middle, zeros where there is nothing
  bool crop_rounds = false;  ///< half a pixel goes to the even one (torchvision); else down
  bool does_rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool does_normalize = true;
  std::array<double, kChannels> mean{0.5, 0.5, 0.5}, std{0.5, 0.5, 0.5};
};

/// Reads the part "image_processor" of processor_config.json in `directory`, or, where there is none,
/// preprocessor_config.json; of timm's directories, which have neither, pretrained_cfg of config.json. Absent keys have the defaults of the class; a file that names no class
/// is of the class that the reference uses for `model_type`.
///
/// Understood: the processors of ViT, DeiT, CLIP, SigLIP, BiT (DINOv2) and BEiT, by their names of
/// today and of before (…FeatureExtractor), and …Fast, which is computed as Pillow does.
/// Errors    not_found; corrupt_file; unsupported_model naming class or key
PreprocessorConfig read_preprocessor_config(const std::filesystem::path& directory,
                                            const std::string& model_type);

/// Applies a config to images. Stateless: threads may share one.
class Preprocessor {
 public:
  explicit Preprocessor(PreprocessorConfig config);

  const PreprocessorConfig& config() const noexcept { return config_; }

  /// What one thread needs besides.
  struct Workspace {
    Resampler resampler{};
    RgbImage part{};
  };

  /// Extents of the result for an image of these extents.
  Size result_size(Size in) const;

  /// Resizes and crops `in` into `out`, whose memory is used again.
  /// Error: invalid_argument if the result would have more than `max_pixels`.
  void run(const RgbImage& in, Workspace& workspace, RgbImage& out,
           Index max_pixels = Index{1} << 26) const;

  /// (3, 256) the value of each byte of each channel, as transformers.image_transforms computes it:
  /// f32(f64(byte)·factor), then (x − mean)/std in f32.
  const std::vector<float>& values() const noexcept { return values_; }

 private:
  Size resized(Size in) const;

  PreprocessorConfig config_;
  std::vector<float> values_;
};

}  // namespace tessera::image
