// SPDX-License-Identifier: Apache-2.0
// preprocessor_config.json and processor_config.json: any bytes give a preprocessor or an Error; what
// they give makes values of small images. The first byte says which of the two files the rest is, and
// of which family the model is.
#include <array>
#include <span>

#include "models/image/preprocessor.hpp"
#include "runtime/base/files.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {
namespace {

constexpr std::array kModelTypes = {"vit",    "deit", "clip", "siglip",
                                    "dinov2", "beit", "bert", "dinov3_vit"};
constexpr Index kMostPixels = 1 << 14;  // more takes time that says nothing

void preprocess(const image::Preprocessor& preprocessor, Index width, Index height) {
  image::RgbImage in;
  image::PreparedImage out;
  in.resize(width, height);
  for (std::size_t i = 0; i < in.pixels.size(); ++i) {
    in.pixels[i] = static_cast<std::uint8_t>(i * 37);
  }
  image::Preprocessor::Workspace workspace;
  try {
    preprocessor.run(in, workspace, out, kMostPixels);
  } catch (const Error& e) {
    return check_message(e);
  }
  const image::Size size = preprocessor.result_size({.height = height, .width = width});
  const std::size_t values =
      preprocessor.config().keeps_fractions ? out.planes.size() : out.bytes.pixels.size();
  require(out.height == size.height && out.width == size.width && out.height >= 1 &&
              out.width >= 1 && out.height * out.width <= kMostPixels &&
              values == static_cast<std::size_t>(out.height * out.width * image::kChannels),
          "an image has the size that was said");
}

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const auto choice = static_cast<unsigned char>(input[0]);
  const std::string_view json = input.substr(1);
  const MemoryFiles files({{choice % 2 == 0 ? "preprocessor_config.json" : "processor_config.json",
                            std::as_bytes(std::span(json))}});
  const image::Preprocessor preprocessor(image::read_preprocessor_config(
      files.directory(), kModelTypes[choice / 2 % kModelTypes.size()]));
  require(preprocessor.values().size() == 3 * 256, "each byte of each channel has a value");
  for (const auto& [width, height] : {std::pair<Index, Index>{7, 5}, {1, 33}, {40, 1}}) {
    preprocess(preprocessor, width, height);
  }
}

Seeds seeds() {
  Seeds out;
  out.emplace_back("demo", "0" + read_committed("models/demo/vision/preprocessor_config.json"));
  out.emplace_back("clip", R"(4{"crop_size": {"height": 30, "width": 28}, "do_center_crop": true,
    "do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.4, 0.3],
    "image_processor_type": "CLIPImageProcessor", "image_std": [0.2, 0.3, 0.4], "resample": 3,
    "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 30}})");
  out.emplace_back("old", R"(0{"feature_extractor_type": "ViTFeatureExtractor", "size": 24,
    "do_resize": true, "resample": 2, "image_mean": 0.5, "image_std": [0.5, 0.5, 0.5]})");
  out.emplace_back("siglip", R"(6{"size": [16, 20], "default_to_square": false, "resample": 5})");
  out.emplace_back("beit", R"(:{"do_center_crop": true, "crop_size": 20, "size": 24,
    "do_reduce_labels": false, "image_processor_type": "BeitImageProcessorFast"})");
  out.emplace_back("dinov3",
                   R"(>{"image_processor_type": "DINOv3ViTImageProcessorFast", "resample": 2,
    "size": {"height": 16, "width": 20}, "crop_size": null, "do_center_crop": null})");
  out.emplace_back("processor", R"(5{"image_processor": {"size": {"shortest_edge": 8},
    "image_processor_type": "CLIPImageProcessor", "crop_size": 8}, "processor_class": "CLIP"})");
  return out;
}

}  // namespace tessera::fuzz
