// SPDX-License-Identifier: Apache-2.0
#include "models/rotary/rope_scaling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>

namespace tessera::models {
namespace {

/// What each kind reads.
struct Scaling {
  const Config& keys;
  const Config& config;
  const RotaryBase& base;
  Rotation& rotation;

  /// A number above 0 that must be there.
  double positive(const char* key) const {
    const double value = keys.number(key, 0.0, 0.0);
    if (value <= 0.0) keys.wrong(key, "a number above 0");
    return value;
  }
  double positive(const char* key, double fallback) const {
    return keys.has(key) ? positive(key) : fallback;
  }
  /// L, of the keys or, as in older files, beside them.
  Index trained_positions() const {
    const Config& from = keys.has("original_max_position_embeddings") ? keys : config;
    return from.integer("original_max_position_embeddings", base.max_positions, 2);
  }
  /// "factor", or what the lengths say where there is none.   modeling_rope_utils.py of version 5
  double factor_or_ratio() const {
    return positive("factor", static_cast<double>(base.max_positions) /
                                  static_cast<double>(trained_positions()));
  }
};

void linear(const Scaling& s) {
  const auto factor = static_cast<float>(s.positive("factor"));
  for (float& frequency : s.rotation.frequencies) frequency /= factor;
}

void dynamic(const Scaling& s) {
  if (s.keys.has("alpha")) s.keys.unsupported("alpha", "null");
  if (s.base.columns < 4) {
    s.keys.unsupported("rope_type", fmt::format("no dynamic scaling of {} columns, whose base it "
                                                "does not define",
                                                s.base.columns));
  }
  s.rotation.theta = s.base.theta;
  s.rotation.factor = s.positive("factor");
  s.rotation.limit = s.base.max_positions;
}

/// 1 + 0.1·mscale·ln(factor)                                                        YaRN, eq. 22
double attention_scale(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

/// Of YaRN: ... of mscale over that of mscale_all_dim, where both are given and not 0 (DeepSeek).
double read_attention_scale(const Scaling& s, double factor) {
  if (s.keys.has("attention_factor")) return s.positive("attention_factor");
  const double mscale = s.keys.number("mscale", 0.0, 0.0),
               all = s.keys.number("mscale_all_dim", 0.0, 0.0);
  if (mscale == 0.0 || all == 0.0) return attention_scale(factor, 1.0);
  return attention_scale(factor, mscale) / attention_scale(factor, all);
}

void yarn(const Scaling& s) {
  const double factor = s.factor_or_ratio();
  const double fast = s.positive("beta_fast", 32.0), slow = s.positive("beta_slow", 1.0);
  if (fast <= slow) s.keys.wrong("beta_fast", fmt::format("more than beta_slow={}", slow));
  if (s.base.theta <= 1.0) s.keys.wrong("rope_theta", "a base above 1 for yarn");
  const auto R = static_cast<double>(s.base.columns),
             L = static_cast<double>(s.trained_positions());
  // The pair that turns `rotations` times in L positions.
  const auto pair_of = [&](double rotations) {
    return R * std::log(L / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(s.base.theta));
  };
  const bool whole = s.keys.boolean("truncate", true);
  double low = pair_of(fast), high = pair_of(slow);
  if (whole) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, R - 1.0);
  if (low == high) high += 0.001;
  const auto span = static_cast<float>(high - low), first = static_cast<float>(low);
  const auto divisor = static_cast<float>(factor);
  std::vector<float>& frequencies = s.rotation.frequencies;
  for (std::size_t j = 0; j < frequencies.size(); ++j) {
    const float keep = 1.0F - std::clamp((static_cast<float>(j) - first) / span, 0.0F, 1.0F);
    frequencies[j] = frequencies[j] / divisor * (1.0F - keep) + frequencies[j] * keep;
  }
  s.rotation.scale = static_cast<float>(read_attention_scale(s, factor));
}

void longrope(const Scaling& s) {
  const Index L = s.trained_positions();
  const std::vector<float> plain = s.rotation.frequencies;
  const auto divided = [&](const char* key) {
    const std::vector<double> factors = s.keys.numbers(key);
    const bool all_above =
        std::all_of(factors.begin(), factors.end(), [](double f) { return f > 0.0; });
    if (factors.size() != plain.size() || !all_above) {
      s.keys.wrong(key, fmt::format("{} numbers above 0, one for each pair of columns that turn",
                                    plain.size()));
    }
    std::vector<float> result;
    for (std::size_t j = 0; j < plain.size(); ++j) {
      result.push_back(plain[j] / static_cast<float>(factors[j]));
    }
    return result;
  };
  s.rotation.frequencies = divided("short_factor");
  s.rotation.long_frequencies = divided("long_factor");
  s.rotation.limit = L;
  // attention_factor = sqrt(1 + ln(factor) / ln(L))
  const double factor = s.factor_or_ratio();
  const double scale =
      factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(static_cast<double>(L)));
  s.rotation.scale = static_cast<float>(s.positive("attention_factor", scale));
}

void llama3(const Scaling& s) {
  const double factor = s.positive("factor"), low = s.positive("low_freq_factor"),
               high = s.positive("high_freq_factor");
  if (high <= low)
    s.keys.wrong("high_freq_factor", fmt::format("more than low_freq_factor={}", low));
  const auto L = static_cast<double>(s.trained_positions());
  for (float& frequency : s.rotation.frequencies) {
    const auto f = static_cast<double>(frequency);
    const double wave = 2.0 * std::numbers::pi / f;
    const double smooth = std::clamp((L / wave - low) / (high - low), 0.0, 1.0);
    frequency = static_cast<float>((1.0 - smooth) * f / factor + smooth * f);
  }
}

struct Kind {
  const char* name;
  void (*apply)(const Scaling& scaling);
};
constexpr std::array kKinds{Kind{"default", [](const Scaling&) {}},
                            Kind{"linear", linear},
                            Kind{"dynamic", dynamic},
                            Kind{"yarn", yarn},
                            Kind{"longrope", longrope},
                            Kind{"llama3", llama3}};

}  // namespace

void scale_rotation(const Config& scaling, const Config& config, const RotaryBase& base,
                    Rotation& rotation) {
  const char* const key = scaling.has("rope_type") ? "rope_type" : "type";
  const std::string type = scaling.string(key, "default");
  if (scaling.has("type") && scaling.string("type", "") != type) {
    scaling.unsupported("type", fmt::format("null, or rope_type=\"{}\"", type));
  }
  std::string known;
  for (const Kind& kind : kKinds) {
    if (type == kind.name) return kind.apply({scaling, config, base, rotation});
    known += fmt::format("{}{}", known.empty() ? "" : ", ", kind.name);
  }
  scaling.unsupported(key, "one of " + known);
}

}  // namespace tessera::models
