// SPDX-License-Identifier: Apache-2.0
//
// Levels: names for sets of CPU features that kernels are compiled for. A level contains another if
// it needs every feature that the other needs; they need not form a chain.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tessera {

namespace kernels {
struct KernelTable;
}

/// In order of preference: the last one that a CPU supports is its best.
enum class Isa : std::uint8_t {
  baseline,     ///< x86-64-v2 (SSE4.2)                 any CPU we ship for
  avx2,         ///< + AVX2 FMA F16C (x86-64-v3)        Haswell 2013, Zen 1
  avx_vnni,     ///< + AVX-VNNI                         Alder Lake 2021, Zen 5
  avx512,       ///< avx2 + F CD BW DQ VL (x86-64-v4)   Skylake-X 2017
  avx512_vnni,  ///< + AVX512-VNNI                      Cascade Lake 2019, Ice Lake 2019
  avx512_bf16,  ///< + AVX512-BF16                      Cooper Lake 2020, Zen 4
  amx_bf16,     ///< + AMX-TILE AMX-BF16 AMX-INT8       Sapphire Rapids 2023
};

inline constexpr std::array kAllIsas{Isa::baseline,    Isa::avx2,        Isa::avx_vnni, Isa::avx512,
                                     Isa::avx512_vnni, Isa::avx512_bf16, Isa::amx_bf16};

/// What a CPU has and its operating system saves for this process: bits of these.
using Features = std::uint32_t;
inline constexpr Features kSse42 = 1U << 0U;  ///< and POPCNT
inline constexpr Features kAvx2 = 1U << 1U;
inline constexpr Features kFma = 1U << 2U;
inline constexpr Features kBmi2 = 1U << 3U;  ///< F16C came with every CPU that has it
inline constexpr Features kAvx512F = 1U << 4U;
inline constexpr Features kAvx512Cd = 1U << 5U;
inline constexpr Features kAvx512Bw = 1U << 6U;
inline constexpr Features kAvx512Dq = 1U << 7U;
inline constexpr Features kAvx512Vl = 1U << 8U;
inline constexpr Features kAvx512Bf16 = 1U << 9U;
inline constexpr Features kAmxBf16 = 1U << 10U;  ///< and AMX-INT8, AMX-TILE; see enable()
inline constexpr Features kAvxVnni = 1U << 11U;
inline constexpr Features kAvx512Vnni = 1U << 12U;

/// Of this CPU and operating system.
Features cpu_features() noexcept;

struct Level {
  Isa isa;
  const char* name;
  Features needs;
  const kernels::KernelTable* table;  ///< what it adds to, or beats in, the levels it contains
};

/// One per Isa, in that order.
const std::array<Level, kAllIsas.size()>& levels() noexcept;
const Level& level_of(Isa isa) noexcept;
constexpr bool contains(const Level& level, const Level& other) noexcept {
  return (level.needs & other.needs) == other.needs;
}

/// "baseline", "avx2", "avx_vnni", "avx512", "avx512_vnni", "avx512_bf16", "amx_bf16".
const char* to_string(Isa isa) noexcept;
std::optional<Isa> isa_from_string(std::string_view name) noexcept;

/// True if CPU *and* operating system support every instruction of `isa`, now: see enable().
bool cpu_supports(Isa isa) noexcept;

/// Asks the operating system for what `isa` needs and a process does not have by itself: the state of a
/// matrix unit (Linux 5.16, arch_prctl ARCH_REQ_XCOMP_PERM). It is granted to all threads of the
/// process and to what it forks, and cannot be given back. From then on a signal's frame may be 8 KiB
/// larger, and sigaltstack() refuses a stack that is too small for that; one that exists makes the
/// request fail. So nothing but what computes in bf16 asks.
/// Returns 0 if the level may be used from now on, else an errno: EOPNOTSUPP, this CPU or kernel has no
/// such unit; what the kernel answered, e.g. ENOSPC, an alternate stack of some thread is too small.
int enable(Isa isa) noexcept;

/// The last level that this CPU supports and that needs no enable(), whatever has been enabled: what is
/// chosen does not depend on what the process did before.
Isa best_isa() noexcept;

/// The level to use when the caller names none: `TESSERA_ISA` if set, else best_isa().
/// What TESSERA_ISA names is enabled. Empty result and a filled `problem` if it is unknown, or cannot be.
struct DefaultIsa {
  std::optional<Isa> isa;
  std::string_view
      problem;  ///< "", "unknown", "unsupported by this CPU", "refused by the operating system"
  std::string_view value;  ///< the text of TESSERA_ISA, "" if unset
};
DefaultIsa default_isa() noexcept;

}  // namespace tessera
