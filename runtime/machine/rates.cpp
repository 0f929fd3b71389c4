// SPDX-License-Identifier: Apache-2.0
// Which rates hold: nominal figures, and the order override, cache, nominal.
#include "runtime/machine/rates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

double lanes_of(Isa isa) noexcept {
  return isa == Isa::baseline ? 4 : isa == Isa::avx2 || isa == Isa::avx_vnni ? 8 : 16;
}

/// The value of an environment variable; empty counts as not set.
std::optional<fs::path> path_from(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return fs::path(value);
}

/// load_rates() for the first of the files that the user named that is of this machine and level. If
/// none is, the error is the first file's and says who named it.
MachineRates load_override(const std::vector<fs::path>& files, const Machine& machine, Isa isa) {
  std::optional<Error> first;
  for (const fs::path& file : files) {
    try {
      return load_rates(file, machine, isa);
    } catch (const Error& e) {
      if (!first) first.emplace(e.code(), fmt::format("TESSERA_RATES: {}", e.what()));
      if (e.code() != ErrorCode::invalid_argument) {
        throw Error(e.code(), fmt::format("TESSERA_RATES: {}", e.what()));
      }
    }
  }
  throw *first;
}

/// Override or cache, whichever has rates that fit.
std::optional<MachineRates> stored_rates(const Machine& machine, Isa isa,
                                         const RatesPlaces& places) {
  if (!places.override_files.empty()) {
    MachineRates rates = load_override(places.override_files, machine, isa);
    log(LogLevel::info,
        fmt::format("machine rates from {} (TESSERA_RATES): {}", rates.source, describe(rates)));
    return rates;
  }
  if (!places.cache_directory) {
    log(LogLevel::info, "machine rates: no cache, since neither XDG_CACHE_HOME nor HOME is set");
    return std::nullopt;
  }
  const fs::path file = rates_cache_file(*places.cache_directory, machine, isa);
  try {
    MachineRates rates = load_rates(file, machine, isa);
    log(LogLevel::info, fmt::format("machine rates from {}", file.string()));
    return rates;
  } catch (const Error& error) {
    const bool absent = error.code() == ErrorCode::not_found;
    log(absent ? LogLevel::info : LogLevel::warning,
        fmt::format("machine rates: {}{}", absent ? "" : "cache passed over: ", error.what()));
    return std::nullopt;
  }
}

}  // namespace

MachineRates nominal_rates(const Machine& machine, Isa isa) {
  constexpr double kHertz = 3e9;
  const double V = lanes_of(isa);
  const double flops = kHertz * (isa == Isa::baseline ? 2 : 4) * V;
  // Without an instruction for it half of the time goes into widening; with one it is twice as fast
  // on some CPUs and half as fast on others. Tiles do 1024 FLOP per cycle where FMA does 64; loads and
  // stores take their part.
  const double bf16 = contains(level_of(isa), level_of(Isa::amx_bf16))      ? 12 * flops
                      : contains(level_of(isa), level_of(Isa::avx512_bf16)) ? flops
                                                                            : flops / 2;
  // Two 16-bit products a lane, then an addition; four where one instruction adds them. A product of tiles
  // of bytes takes the time of one of bf16 and is twice as deep.
  const bool dot = contains(level_of(isa), level_of(Isa::avx_vnni)) ||
                   contains(level_of(isa), level_of(Isa::avx512_vnni));
  const double s8 = contains(level_of(isa), level_of(Isa::amx_bf16)) ? 2 * bf16
                    : dot                                            ? 4 * flops
                                                                     : flops;
  MachineRates rates{.flops = {flops, bf16, s8},
                     .l1_bytes = kHertz * 2 * 4 * V,
                     .l2_bytes = kHertz * std::min(4 * V, 32.0),
                     .l3_bytes = kHertz * 6,
                     .memory_bytes = 12e9,
                     .exps = kHertz * V / 8,
                     .source = "nominal"};
  if (machine.l3.bytes == 0) rates.l3_bytes = rates.memory_bytes;
  return rates;
}

RatesPlaces RatesPlaces::from_environment() {
  RatesPlaces places;
  if (const char* names = std::getenv("TESSERA_RATES"); names != nullptr) {
    for (std::string_view rest = names; !rest.empty();) {
      const std::size_t end = std::min(rest.find(':'), rest.size());
      if (end > 0) places.override_files.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  const std::optional<fs::path> cache = path_from("XDG_CACHE_HOME");
  const std::optional<fs::path> home = path_from("HOME");
  if (cache && cache->is_absolute()) {
    places.cache_directory = *cache / "tessera";
  } else if (home && home->is_absolute()) {
    places.cache_directory = *home / ".cache" / "tessera";
  }
  return places;
}

MachineRates resolve_rates(const Machine& machine, Isa isa, const RatesPlaces& places) {
  if (std::optional<MachineRates> stored = stored_rates(machine, isa, places)) return *stored;
  MachineRates rates = nominal_rates(machine, isa);
  log(LogLevel::info,
      fmt::format("machine rates: nothing measured, nominal ones hold: {}", describe(rates)));
  return rates;
}

MachineRates measured_rates(const Machine& machine, Isa isa, const RatesPlaces& places) {
  if (std::optional<MachineRates> stored = stored_rates(machine, isa, places)) return *stored;
  MachineRates rates = measure_rates(isa);
  log(LogLevel::info, fmt::format("machine rates measured: {}", describe(rates)));
  if (places.cache_directory) {
    const fs::path file = rates_cache_file(*places.cache_directory, machine, isa);
    try {
      save_rates(file, rates, machine, isa);
      log(LogLevel::info, fmt::format("machine rates kept in {}", file.string()));
    } catch (const Error& error) {
      log(LogLevel::warning,
          fmt::format("machine rates hold for this process only: {}", error.what()));
    }
  }
  return rates;
}

std::string describe(const MachineRates& rates) {
  return fmt::format(
      "{:.1f} GFLOP/s, bf16 {:.1f}, s8 {:.1f}; L1 {:.0f}, L2 {:.0f}, L3 {:.1f}, memory {:.1f} "
      "GB/s; {:.1e} "
      "exp2/s ({})",
      rates.flops[Precision::f32] * 1e-9, rates.flops[Precision::bf16] * 1e-9,
      rates.flops[Precision::s8] * 1e-9, rates.l1_bytes * 1e-9, rates.l2_bytes * 1e-9,
      rates.l3_bytes * 1e-9, rates.memory_bytes * 1e-9, rates.exps, rates.source);
}

}  // namespace tessera
