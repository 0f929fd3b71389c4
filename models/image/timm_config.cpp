// SPDX-License-Identifier: Apache-2.0
#include "models/image/timm_config.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "models/json.hpp"
#include "runtime/base/files.hpp"

namespace tessera::image {
namespace {

using json::Node;

constexpr std::int64_t kMostSide = 1 << 16;
// timm/data/constants.py
constexpr std::array<double, kChannels> kImageNetMean{0.485, 0.456, 0.406};
constexpr std::array<double, kChannels> kImageNetStd{0.229, 0.224, 0.225};

constexpr std::pair<std::string_view, Filter> kFilters[] = {
    {"nearest", Filter::nearest}, {"bilinear", Filter::bilinear}, {"bicubic", Filter::bicubic},
    {"box", Filter::box},         {"hamming", Filter::hamming},   {"lanczos", Filter::lanczos}};

Filter read_filter(const Node& trained) {
  const auto node = json::find(trained, "interpolation");
  if (!node) return Filter::bicubic;
  const std::string_view name = json::as_string(*node);
  for (const auto& [known, filter] : kFilters) {
    if (name == known) return filter;
  }
  json::unsupported(*node, "nearest, bilinear, bicubic, box, hamming or lanczos");
}

void read_channels(const Node& trained, const char* key, std::array<double, kChannels>& channels) {
  const auto node = json::find(trained, key);
  if (!node) return;
  const auto array = json::as_array(*node);
  if (array.size() != channels.size()) json::wrong(*node, "3 numbers");
  for (std::size_t i = 0; i < channels.size(); ++i) {
    channels[i] = json::as_number(json::item(*node, i, array[i]));
  }
}

/// [3, h, w] of equal sides.
Index read_size(const Node& trained) {
  const auto node = json::find(trained, "input_size");
  if (!node) return 224;
  const auto array = json::as_array(*node);
  if (array.size() != 3) json::wrong(*node, "[channels, height, width]");
  std::array<std::int64_t, 3> sizes{};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    sizes[i] = json::as_integer(json::item(*node, i, array[i]), 1, kMostSide, "a number of pixels");
  }
  if (sizes[0] != kChannels || sizes[1] != sizes[2]) {
    json::unsupported(*node, "3 channels and a square");
  }
  return static_cast<Index>(sizes[1]);
}

}  // namespace

// timm: data/config.py resolve_data_config(), data/transforms_factory.py transforms_imagenet_eval()
std::optional<PreprocessorConfig> read_timm_config(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / "config.json";
  if (!path_exists(file)) return std::nullopt;
  const json::Document document = json::Document::read(file);
  if (!json::find(document.root(), "architecture")) return std::nullopt;
  const auto trained = json::find(document.root(), "pretrained_cfg");
  if (!trained) return std::nullopt;
  json::as_object(*trained);
  if (const auto mode = json::find(*trained, "crop_mode")) {
    if (json::as_string(*mode) != "center") json::unsupported(*mode, "\"center\"");
  }
  PreprocessorConfig config;
  config.class_name = "timm";
  const Index size = read_size(*trained);
  double share = 0.875;
  if (const auto node = json::find(*trained, "crop_pct")) {
    share = json::as_number(*node);
    const bool is_share = share > 0.0 && share <= 1.0;
    if (!is_share || std::floor(static_cast<double>(size) / share) > double{kMostSide}) {
      json::wrong(*node, "a share of the image, above 0 and at most 1");
    }
  }
  config.shortest_edge = static_cast<Index>(std::floor(static_cast<double>(size) / share));
  config.crop = Size{size, size};
  config.crop_rounds = true;
  config.filter = read_filter(*trained);
  config.mean = kImageNetMean;
  config.std = kImageNetStd;
  read_channels(*trained, "mean", config.mean);
  read_channels(*trained, "std", config.std);
  if (std::any_of(config.std.begin(), config.std.end(), [](double x) { return x == 0.0; })) {
    json::wrong(*json::find(*trained, "std"), "numbers other than 0");
  }
  return config;
}

}  // namespace tessera::image
