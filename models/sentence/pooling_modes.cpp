// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/pooling_modes.hpp"

#include <algorithm>
#include <array>

namespace tessera::models {
namespace {

struct PoolingName {
  const char* flag;  ///< key of the older form
  const char* mode;  ///< name of the newer form, and for people
  Pooling pooling;
};
/// In the order in which the reference concatenates.                          Pooling.forward
constexpr std::array kPoolings{
    PoolingName{"pooling_mode_cls_token", "cls", Pooling::first},
    PoolingName{"pooling_mode_max_tokens", "max", Pooling::max},
    PoolingName{"pooling_mode_mean_tokens", "mean", Pooling::mean},
    PoolingName{"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens",
                Pooling::mean_sqrt_len},
    PoolingName{"pooling_mode_weightedmean_tokens", "weightedmean", Pooling::weighted_mean},
    PoolingName{"pooling_mode_lasttoken", "lasttoken", Pooling::last},
};

}  // namespace

const char* mode_name(Pooling pooling) noexcept {
  for (const PoolingName& p : kPoolings) {
    if (p.pooling == pooling) return p.mode;
  }
  return "unknown";
}

std::optional<Pooling> pooling_from_name(std::string_view mode) noexcept {
  for (const PoolingName& p : kPoolings) {
    if (mode == p.mode) return p.pooling;
  }
  return std::nullopt;
}

std::vector<std::string> pooling_modes() {
  std::vector<std::string> modes;
  for (const PoolingName& p : kPoolings) modes.emplace_back(p.mode);
  return modes;
}

std::vector<Pooling> read_pooling_modes(const Config& config) {
  std::vector<Pooling> modes;
  if (config.has("pooling_mode")) {
    for (const std::string& mode : config.strings("pooling_mode")) {
      const std::optional<Pooling> known = pooling_from_name(mode);
      if (!known) {
        config.unsupported("pooling_mode",
                           "cls, max, mean, mean_sqrt_len_tokens, weightedmean or lasttoken");
      }
      if (std::find(modes.begin(), modes.end(), *known) != modes.end()) {
        config.wrong("pooling_mode", "each mode once");
      }
      modes.push_back(*known);
    }
    if (modes.empty()) config.wrong("pooling_mode", "one mode at least");
    return modes;
  }
  for (const PoolingName& p : kPoolings) {
    // Pooling.__init__: pooling_mode_mean_tokens is true unless the file says otherwise.
    if (config.boolean(p.flag, p.pooling == Pooling::mean)) modes.push_back(p.pooling);
  }
  if (modes.empty()) config.wrong("pooling_mode_mean_tokens", "one pooling mode that is true");
  return modes;
}

}  // namespace tessera::models
