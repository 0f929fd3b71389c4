// SPDX-License-Identifier: Apache-2.0
#include "kernels/isa.hpp"

#include <cstdlib>

namespace tessera {

const char* to_string(Isa isa) noexcept {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "unknown";
}

std::optional<Isa> isa_from_string(std::string_view name) noexcept {
  for (const Isa isa : kAllIsas) {
    if (name == to_string(isa)) return isa;
  }
  return std::nullopt;
}

// __builtin_cpu_supports checks XCR0 too, so a level that the operating system does not save is not
// reported.
bool cpu_supports(Isa isa) noexcept {
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("popcnt") != 0;
  const bool v3 = v2 && __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                  __builtin_cpu_supports("bmi2") != 0;  // F16C came with every CPU that has BMI2
  const bool v4 =
      v3 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512cd") != 0 &&
      __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0;
  switch (isa) {
    case Isa::baseline:
      return v2;
    case Isa::avx2:
      return v3;
    case Isa::avx512:
      return v4;
  }
  return false;
}

Isa best_isa() noexcept {
  if (cpu_supports(Isa::avx512)) return Isa::avx512;
  if (cpu_supports(Isa::avx2)) return Isa::avx2;
  return Isa::baseline;
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
