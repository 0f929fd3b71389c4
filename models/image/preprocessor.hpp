// SPDX-License-Identifier: Apache-2.0
//
// What preprocessor_config.json says, done as the reference's image processors do it:
//
//   RGB ─ resize ─ centre crop ─▶ 8-bit pixels ─ rescale, normalise ─▶ values
//
// The last two steps are one function of a byte and its channel, so they are a table: what a model
// gets is exact for every pixel, and no float image is stored. But DINOv3's processor rescales before it
// resizes, and nothing is rounded to bytes after: then the values are f32 of their own.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/image/resize.hpp"
#include "runtime/program/image.hpp"

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
  bool keeps_fractions = false;  ///< resized values are not rounded to bytes; nothing is cropped
  std::optional<Size> crop;      ///< then cut out of the middle, zeros where there is nothing
  bool crop_rounds = false;      ///< half a pixel goes to the even one (torchvision); else down
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
/// today and of before (…FeatureExtractor), and …Fast, which is computed as Pillow does; that of DINOv3.
/// Errors    not_found; corrupt_file; unsupported_model naming class or key
PreprocessorConfig read_preprocessor_config(const std::filesystem::path& directory,
                                            const std::string& model_type);

/// What a model gets of an image: bytes, which stand for the values of a table, or values.
struct PreparedImage {
  Index height = 0, width = 0;
  RgbImage bytes{};
  std::vector<float> planes{};  ///< (3, height, width), where PreprocessorConfig::keeps_fractions
};

/// Applies a config to images. Stateless: threads may share one.
class Preprocessor {
 public:
  explicit Preprocessor(PreprocessorConfig config);

  const PreprocessorConfig& config() const noexcept { return config_; }

  /// What one thread needs besides.
  struct Workspace {
    Resampler resampler{};
    RgbImage part{};
    std::vector<float> row{};
  };

  /// Extents of the result for an image of these extents.
  Size result_size(Size in) const;

  /// Resizes and crops `in` into `out`, whose memory is used again.
  /// Error: invalid_argument if the result would have more than `max_pixels`.
  void run(const RgbImage& in, Workspace& workspace, PreparedImage& out,
           Index max_pixels = Index{1} << 26) const;
  /// What run() made, as a model takes it; valid as long as both.
  Image view(const PreparedImage& prepared) const noexcept;

  /// (3, 256) the value of each byte of each channel, as transformers.image_transforms computes it:
  /// f32(f64(byte)·factor), then (x − mean)/std in f32.
  const std::vector<float>& values() const noexcept { return values_; }

 private:
  Size resized(Size in) const;
  void run_bytes(const RgbImage& in, Workspace& workspace, RgbImage& out) const;
  void run_values(const RgbImage& in, Workspace& workspace, std::vector<float>& planes) const;
  float value_of(std::size_t channel, float rescaled) const noexcept;

  PreprocessorConfig config_;
  std::vector<float> values_;
};

}  // namespace tessera::image
