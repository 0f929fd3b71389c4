// SPDX-License-Identifier: Apache-2.0
#include "kernels/isa.hpp"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "kernels/arch/tables.hpp"

namespace tessera {

namespace {

constexpr Features kV2 = kSse42;
constexpr Features kV3 = kV2 | kAvx2 | kFma | kBmi2;
constexpr Features kV4 = kV3 | kAvx512F | kAvx512Cd | kAvx512Bw | kAvx512Dq | kAvx512Vl;

constexpr Features kVnni = kV4 | kAvx512Vnni;
constexpr Features kBf16 = kVnni | kAvx512Bf16;
constexpr Features kAmx = kBf16 | kAmxBf16;
constexpr Features kOnRequest = kAmxBf16;

// <asm/prctl.h> of Linux 5.16; component 18 of XSAVE is the contents of tiles, 17 their shapes.
constexpr long kGetPermission = 0x1022, kRequestPermission = 0x1023;
constexpr unsigned kTileData = 18, kTileShapes = 17;

bool ask_for_amx_bf16() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return false;
  unsigned low = 0, high = 0;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned kTiles = 1U << kTileData | 1U << kTileShapes;
  if ((low & kTiles) != kTiles || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kAmxBits = 1U << 22U | 1U << 24U | 1U << 25U;  // EDX: AMX-BF16, -TILE, -INT8
  return (d & kAmxBits) == kAmxBits;
}

/// AMX-TILE, AMX-BF16 and AMX-INT8 in CPUID, tiles in XCR0: whether a process may use them is another question.
/// Asked once: a hypervisor answers each CPUID itself, which takes microseconds.
bool has_amx_bf16() noexcept {
  enum Answer : int { unknown, no, yes };
  static std::atomic<int> answer = unknown;
  if (answer == unknown) answer = ask_for_amx_bf16() ? yes : no;
  return answer == yes;
}

/// Not known to __builtin_cpu_supports() of every compiler.
bool has_avx_vnni() noexcept {
  enum Answer : int { unknown, no, yes };
  static std::atomic<int> answer = unknown;
  if (answer == unknown) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    const bool has = __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & 1U << 4U) != 0;
    answer = has ? yes : no;
  }
  return answer == yes;
}

bool may_use_tiles() noexcept {
  unsigned long granted = 0;  // a bit per component of XSAVE
  return syscall(SYS_arch_prctl, kGetPermission, &granted) == 0 && (granted >> kTileData & 1U) != 0;
}

constexpr std::array<Level, kAllIsas.size()> kLevels{
    Level{Isa::baseline, "baseline", kV2, &kernels::kBaselineTable},
    Level{Isa::avx2, "avx2", kV3, &kernels::kAvx2Table},
    Level{Isa::avx_vnni, "avx_vnni", kV3 | kAvxVnni, &kernels::kAvxVnniTable},
    Level{Isa::avx512, "avx512", kV4, &kernels::kAvx512Table},
    Level{Isa::avx512_vnni, "avx512_vnni", kVnni, &kernels::kAvx512VnniTable},
    Level{Isa::avx512_bf16, "avx512_bf16", kBf16, &kernels::kAvx512Bf16Table},
    Level{Isa::amx_bf16, "amx_bf16", kAmx, &kernels::kAmxBf16Table},
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
  add(kAvx512Vnni, __builtin_cpu_supports("avx512vnni"));
  add(kAvxVnni, __builtin_cpu_supports("avx2") != 0 && has_avx_vnni());
  add(kAmxBf16, has_amx_bf16() && may_use_tiles());
  return features;
}

bool cpu_supports(Isa isa) noexcept {
  const Features needs = level_of(isa).needs;
  return (cpu_features() & needs) == needs;
}

int enable(Isa isa) noexcept {
  const Features missing = level_of(isa).needs & ~cpu_features();
  if (missing == 0) return 0;
  if (missing != kAmxBf16 || !has_amx_bf16()) return EOPNOTSUPP;
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0) return 0;
  return errno == EINVAL ? EOPNOTSUPP : errno;  // a kernel before 5.16
}

Isa best_isa() noexcept {
  Isa best = Isa::baseline;
  for (const Level& level : kLevels) {
    if ((level.needs & kOnRequest) == 0 && cpu_supports(level.isa)) best = level.isa;
  }
  return best;
}

DefaultIsa default_isa() noexcept {
  const char* value = std::getenv("TESSERA_ISA");
  if (value == nullptr || *value == '\0') return {.isa = best_isa(), .problem = {}, .value = {}};
  const std::optional<Isa> named = isa_from_string(value);
  if (!named) return {.isa = {}, .problem = "unknown", .value = value};
  if (const int error = enable(*named); error != 0) {
    return {.isa = {},
            .problem =
                error == EOPNOTSUPP ? "unsupported by this CPU" : "refused by the operating system",
            .value = value};
  }
  return {.isa = named, .problem = {}, .value = value};
}

}  // namespace tessera
