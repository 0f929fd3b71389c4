// SPDX-License-Identifier: Apache-2.0
// preprocessor_config.json: one class per family of models in the reference, which differ in their
// defaults and in which steps they have.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "models/image/preprocessor.hpp"
#include "models/image/timm_config.hpp"
#include "models/json.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::image {
namespace {

namespace fs = std::filesystem;
using json::Node;

constexpr Index kMostSide = 1 << 16;

struct Statistics {
  std::array<double, kChannels> mean, std;
};
constexpr Statistics kHalf{{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}};
constexpr Statistics kClip{{0.48145466, 0.4578275, 0.40821073},
                           {0.26862954, 0.26130258, 0.27577711}};
constexpr Statistics kImageNet{{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};

// The defaults of a class: image_processing_<family>.py of transformers 4.57.
struct Family {
  const char* class_prefix;
  std::string_view model_types;  // that use it, between blanks
  bool is_shortest_edge;         // what one number means for `size`
  Index size, crop;              // crop = 0: the class has no such step
  Filter filter;
  Statistics statistics;
  bool rescales_first = false;  // and then resizes floats, as torch does
};

constexpr Family kFamilies[] = {
    {"ViT", " vit vit_msn vit_mae ijepa swin swinv2 ", false, 224, 0, Filter::bilinear, kHalf},
    {"DeiT", " deit ", false, 256, 224, Filter::bicubic, kHalf},
    {"CLIP", " clip clip_vision_model ", true, 224, 224, Filter::bicubic, kClip},
    {"Siglip", " siglip siglip_vision_model ", false, 224, 0, Filter::bicubic, kHalf},
    {"Bit", " dinov2 dinov2_with_registers bit ", true, 224, 224, Filter::bicubic, kClip},
    {"Beit", " beit data2vec-vision ", false, 256, 224, Filter::bicubic, kHalf},
    {"DINOv3ViT", " dinov3_vit ", false, 224, 0, Filter::bilinear, kImageNet, true},
};

const Family& family_of(const Node& root, const std::string& model_type, std::string& name) {
  auto named = json::find(root, "image_processor_type");
  if (!named) named = json::find(root, "feature_extractor_type");
  if (named) {
    name = json::as_string(*named);
    for (const Family& family : kFamilies) {
      const std::string_view prefix = family.class_prefix;
      if (!name.starts_with(prefix)) continue;
      const std::string_view suffix = std::string_view(name).substr(prefix.size());
      if (suffix == "ImageProcessor" || suffix == "ImageProcessorFast") return family;
      const bool over_pillow = suffix == "ImageProcessorPil" || suffix == "FeatureExtractor";
      if (over_pillow && !family.rescales_first) return family;
    }
    json::unsupported(
        *named,
        "ViTImageProcessor, DeiTImageProcessor, CLIPImageProcessor, SiglipImageProcessor, "
        "BitImageProcessor, BeitImageProcessor or DINOv3ViTImageProcessorFast");
  }
  for (const Family& family : kFamilies) {
    if (family.model_types.find(" " + model_type + " ") == std::string_view::npos) continue;
    name = std::string(family.class_prefix) + "ImageProcessor";
    return family;
  }
  throw Error(ErrorCode::unsupported_model,
              fmt::format("{} names no image_processor_type, and for model_type \"{}\" none is "
                          "known, expected the name of a class",
                          root.where, model_type));
}

Index as_side(const Node& node) {
  return static_cast<Index>(json::as_integer(
      node, 1, kMostSide, fmt::format("a number of pixels from 1 to {}", kMostSide)));
}

// {"height": h, "width": w}; nothing if the object has other keys.
std::optional<Size> height_and_width(const Node& node) {
  if (node.value.is_array()) {
    const auto array = json::as_array(node);
    if (array.size() != 2) json::wrong(node, "[height, width]");
    return Size{as_side(json::item(node, 0, array[0])), as_side(json::item(node, 1, array[1]))};
  }
  if (json::as_object(node).size() != 2) return std::nullopt;
  const auto height = json::find(node, "height"), width = json::find(node, "width");
  if (!height || !width) return std::nullopt;
  return Size{as_side(*height), as_side(*width)};
}

void read_size(const Node& root, const Family& family, PreprocessorConfig& config) {
  const auto node = json::find(root, "size");
  // What one number means: BaseImageProcessorFast reads it from the file, the others have it fixed.
  const bool is_shortest_edge = !json::bool_or(root, "default_to_square", !family.is_shortest_edge);
  const auto take = [&](Index side) {
    if (is_shortest_edge) {
      config.shortest_edge = side;
    } else {
      config.size = Size{side, side};
    }
  };
  if (!node) return take(family.size);
  if (node->value.is_number()) return take(as_side(*node));
  if (const auto size = height_and_width(*node)) {
    config.size = size;
    return;
  }
  const auto edge = json::find(*node, "shortest_edge");
  if (!edge || json::as_object(*node).size() != 1) {
    json::unsupported(*node, R"(a number, {"height", "width"} or {"shortest_edge"})");
  }
  config.shortest_edge = as_side(*edge);
}

void read_crop(const Node& root, const Family& family, PreprocessorConfig& config) {
  const auto asked = json::find(root, "do_center_crop");
  const bool has_step = family.crop != 0;
  if (!(asked ? json::as_bool(*asked) : has_step)) return;
  // Of the reference's two kinds of this class one crops and the other does not.
  if (!has_step && (family.rescales_first || !config.class_name.ends_with("Fast"))) {
    json::unsupported(*asked, fmt::format("false or null for {}", config.class_name));
  }
  const auto node = json::find(root, "crop_size");
  if (!node) {
    if (!has_step) json::wrong(*asked, "true only beside a \"crop_size\"");
    config.crop = Size{family.crop, family.crop};
  } else if (node->value.is_number()) {
    const Index side = as_side(*node);
    config.crop = Size{side, side};
  } else {
    config.crop = height_and_width(*node);
    if (!config.crop) json::unsupported(*node, R"(a number or {"height", "width"})");
  }
}

// One number for all channels, or one for each.
void read_channels(const Node& root, std::string_view key,
                   std::array<double, kChannels>& channels) {
  const auto node = json::find(root, key);
  if (!node) return;
  if (node->value.is_number()) {
    channels.fill(json::as_number(*node));
    return;
  }
  const auto array = json::as_array(*node);
  if (array.size() != channels.size()) json::wrong(*node, "3 numbers");
  for (std::size_t i = 0; i < channels.size(); ++i) {
    channels[i] = json::as_number(json::item(*node, i, array[i]));
  }
}

void refuse_other_steps(const Node& root) {
  for (const char* key : {"do_pad", "do_flip_channel_order", "do_thumbnail", "do_align_long_axis",
                          "do_grayscale", "offset"}) {
    const auto node = json::find(root, key);
    bool is_asked = false;
    if (node && (!node->value.get(is_asked) || is_asked)) {
      json::unsupported(*node, "false");
    }
  }
}

}  // namespace

PreprocessorConfig read_preprocessor_config(const fs::path& directory,
                                            const std::string& model_type) {
  // An image processor inside processor_config.json wins over a file of its own.
  //                                     ImageProcessingMixin.get_image_processor_dict
  std::optional<json::Document> document;
  std::optional<Node> nested;
  if (path_exists(directory / "processor_config.json")) {
    document = json::Document::read(directory / "processor_config.json");
    nested = json::find(document->root(), "image_processor");
  }
  const fs::path file = directory / "preprocessor_config.json";
  if (!nested) {
    if (!path_exists(file)) {
      if (auto of_timm = read_timm_config(directory)) return *std::move(of_timm);
      throw Error(ErrorCode::not_found,
                  fmt::format("{}: no such file, expected the settings of an image processor",
                              file.string()));
    }
    document = json::Document::read(file);
  }
  const Node root = nested ? *nested : document->root();
  json::as_object(root);

  PreprocessorConfig config;
  if (const auto code = json::find(root, "auto_map")) {
    if (const auto own = json::find(*code, "AutoImageProcessor")) {  // never run
      json::unsupported(*own, "an image processor of transformers, without code of its own");
    }
  }
  const Family& family = family_of(root, model_type, config.class_name);
  refuse_other_steps(root);
  config.does_resize = json::bool_or(root, "do_resize", true);
  read_size(root, family, config);
  config.filter = family.filter;
  if (const auto node = json::find(root, "resample")) {
    config.filter =
        static_cast<Filter>(json::as_integer(*node, 0, 5, "one of Pillow's filters, 0 to 5"));
  }
  read_crop(root, family, config);
  config.does_rescale = json::bool_or(root, "do_rescale", true);
  config.keeps_fractions = family.rescales_first && config.does_rescale && config.does_resize;
  if (config.keeps_fractions && config.filter != Filter::bilinear &&
      config.filter != Filter::bicubic) {
    json::unsupported(*json::find(root, "resample"),
                      "2 or 3, the filters that torch has of floats");
  }
  if (const auto node = json::find(root, "rescale_factor")) {
    config.rescale_factor = json::as_number(*node);
  }
  config.does_normalize = json::bool_or(root, "do_normalize", true);
  config.mean = family.statistics.mean;
  config.std = family.statistics.std;
  read_channels(root, "image_mean", config.mean);
  read_channels(root, "image_std", config.std);
  if (std::any_of(config.std.begin(), config.std.end(), [](double x) { return x == 0.0; })) {
    json::wrong(*json::find(root, "image_std"), "numbers other than 0");
  }
  return config;
}

}  // namespace tessera::image
