// SPDX-License-Identifier: Apache-2.0
#include "kernels/isa.hpp"

#include <cstdlib>

#include "kernels/arch/tables.hpp"

namespace tessera {

namespace {

constexpr Features kV2 = kSse42;
constexpr Features kV3 = kV2 | kAvx2 | kFma | kBmi2;
constexpr Features kV4 = kV3 | kAvx512F | kAvx512Cd | kAvx512Bw | kAvx512Dq | kAvx512Vl;

constexpr Features kBf16 = kV4 | kAvx512Bf16;

constexpr std::array<Level, kAllIsas.size()> kLevels{
    Level{Isa::baseline, "baseline", kV2, &kernels::kBaselineTable},
    Level{Isa::avx2, "avx2", kV3, &kernels::kAvx2Table},
    Level{Isa::avx512, "avx512", kV4, &kernels::kAvx512Table},
    Level{Isa::avx512_bf16, "avx512_bf16", kBf16, &kernels::kAvx512Bf16Table},
};

}  // namespace

const std::array<Level, kAllIsas.size()>& levels() noexcept {
  return kLevels;
}

const Level& level_of(Isa isa) noexcept {
  return kLevels[static_cast<std::size_t>(isa)];
}

const char* to_string(Isa isa) noexcept {
  return level_of(isa).name;
}

std::optional<Isa> isa_from_string(std::string_view name) noexcept {
  for (const Level& level : kLevels) {
    if (name == level.name) return level.isa;
  }
  return std::nullopt;
}

// __builtin_cpu_supports checks XCR0 too, so a feature that the operating system does not save is not
// reported.
Features cpu_features() noexcept {
  __builtin_cpu_init();
  Features features = 0;
  const auto add = [&](Features feature, int has) {
    if (has != 0) features |= feature;
  };
  add(kSse42, __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("popcnt") != 0);
  add(kAvx2, __builtin_cpu_supports("avx2"));
  add(kFma, __builtin_cpu_supports("fma"));
  add(kBmi2, __builtin_cpu_supports("bmi2"));
  add(kAvx512F, __builtin_cpu_supports("avx512f"));
  add(kAvx512Cd, __builtin_cpu_supports("avx512cd"));
  add(kAvx512Bw, __builtin_cpu_supports("avx512bw"));
  add(kAvx512Dq, __builtin_cpu_supports("avx512dq"));
  add(kAvx512Vl, __builtin_cpu_supports("avx512vl"));
  add(kAvx512Bf16, __builtin_cpu_supports("avx512bf16"));
  return features;
}

bool cpu_supports(Isa isa) noexcept {
  const Features needs = level_of(isa).needs;
  return (cpu_features() & needs) == needs;
}

Isa best_isa() noexcept {
  Isa best = Isa::baseline;
  for (const Level& level : kLevels) {
    if (cpu_supports(level.isa)) best = level.isa;
  }
  return best;
}

DefaultIsa default_isa() noexcept {
  const char* value = std::getenv("TESSERA_ISA");
  if (value == nullptr || *value == '\0') return {.isa = best_isa(), .problem = {}, .value = {}};
  const std::optional<Isa> named = isa_from_string(value);
  if (!named) return {.isa = {}, .problem = "unknown", .value = value};
  if (!cpu_supports(*named))
    return {.isa = {}, .problem = "unsupported by this CPU", .value = value};
  return {.isa = named, .problem = {}, .value = value};
}

}  // namespace tessera
