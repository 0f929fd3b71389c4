// SPDX-License-Identifier: Apache-2.0
// ISA levels: totally ordered, each implies all before it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tessera {

enum class Isa : std::uint8_t {
  baseline,  ///< x86-64-v2 (SSE4.2)                 any CPU we ship for
  avx2,      ///< + AVX2 FMA F16C (x86-64-v3)        Haswell 2013, Zen 1
  avx512,    ///< + F CD BW DQ VL (x86-64-v4)        Skylake-X 2017, Zen 4
};

inline constexpr std::array kAllIsas{Isa::baseline, Isa::avx2, Isa::avx512};

/// "baseline", "avx2", "avx512".
const char* to_string(Isa isa) noexcept;
std::optional<Isa> isa_from_string(std::string_view name) noexcept;

/// True if CPU *and* operating system support every instruction of `isa`.
bool cpu_supports(Isa isa) noexcept;

/// The highest level that this CPU supports.
Isa best_isa() noexcept;

/// The level to use when the caller names none: `TESSERA_ISA` if set, else best_isa().
/// Empty result and a filled `problem` if TESSERA_ISA names an unknown or unsupported level.
struct DefaultIsa {
  std::optional<Isa> isa;
  std::string_view problem;  ///< "" or "unknown" or "unsupported by this CPU"
  std::string_view value;    ///< the text of TESSERA_ISA, "" if unset
};
DefaultIsa default_isa() noexcept;

}  // namespace tessera
