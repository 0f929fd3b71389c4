// SPDX-License-Identifier: Apache-2.0
//
// How fast one thread of this machine computes and moves data: what the planner divides FLOP and
// bytes by. Rates come from the first of these that has them:
//
//   override   the file that TESSERA_RATES names, or the first that fits of several with a colon between
//              them, one per ISA level; none that fits is an Error
//   cache      $XDG_CACHE_HOME/tessera/ (else ~/.cache/tessera/), written by measured_rates();
//              a file that does not fit is ignored, with a warning to the log callback
//   nominal    nominal_rates(): cautious figures from the ISA level alone
//
// The library never measures by itself: a Session takes resolve_rates(), a tool that may take two
// seconds takes measured_rates(). Rates decide which plan is chosen and what it predicts; results
// never depend on them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/isa.hpp"
#include "kernels/types.hpp"
#include "runtime/machine/machine.hpp"

namespace tessera {

/// Of one thread that has its core to itself.
struct MachineRates {
  PerPrecision<double> flops{};  ///< multiply-add peak at the ISA level, FLOP/s; 0: see flops_of()
  double l1_bytes = 0;           ///< bytes/s that one thread streams from L1
  double l2_bytes = 0;           ///< … from L2
  double l3_bytes = 0;           ///< … from L3; = memory_bytes where there is no L3
  double memory_bytes = 0;       ///< … from memory
  double exps = 0;               ///< evaluations/s of 2ˣ
  std::string source;            ///< "nominal", "measured", or the file

  /// Ternary weights are multiplied by what multiplies s8.
  double flops_of(Precision p) const noexcept {
    return flops[p == Precision::ternary ? Precision::s8 : p];
  }
  friend bool operator==(const MachineRates&, const MachineRates&) = default;
};

/// What stands in for a measurement: a 3 GHz core with two vector ports (V lanes) per cycle and a
/// server's memory.
///
///   flops = 3e9 · 2 · 2V (without FMA: 3e9 · 2V)     L1 = 3e9 · 2 · 4V     exps = 3e9 · V/8
///   L2 = 3e9 · min(4V, 32)     L3 = 3e9 · 6 (no L3: memory)     memory = 12e9
MachineRates nominal_rates(const Machine& machine, Isa isa);

/// Runs the probes of kernels/probe on the calling thread: less than 2 s, up to 64 MiB of memory,
/// CPU time of the thread, the best of several passes each. A nearer level is at least as fast as
/// the next: what the noise of a shared machine says otherwise is lifted.
/// Precondition: cpu_supports(isa). Errors: out_of_memory.
MachineRates measure_rates(Isa isa);

/// Where rates are looked for. A test brings its own.
struct RatesPlaces {
  std::vector<std::filesystem::path> override_files;
  std::optional<std::filesystem::path> cache_directory;  ///< empty: neither is set; no cache

  /// TESSERA_RATES, XDG_CACHE_HOME, HOME. A relative XDG_CACHE_HOME is ignored, as its
  /// specification asks.
  static RatesPlaces from_environment();
};

/// The file of this machine and level in the cache: its name holds the level and a hash of the
/// CPU's name and caches, so that machines may share a home directory.
std::filesystem::path rates_cache_file(const std::filesystem::path& directory,
                                       const Machine& machine, Isa isa);

/// Override, else cache, else nominal. Says by the log callback which, and why not the ones before.
/// Errors: those of load_rates() for the override.
MachineRates resolve_rates(const Machine& machine, Isa isa,
                           const RatesPlaces& places = RatesPlaces::from_environment());

/// Override, else cache, else measure and store in the cache (a warning where that is refused).
MachineRates measured_rates(const Machine& machine, Isa isa,
                            const RatesPlaces& places = RatesPlaces::from_environment());

/// The rates with what they are valid for (CPU, caches, level, version of the probes) as JSON.
std::string rates_to_json(const MachineRates& rates, const Machine& machine, Isa isa);

/// Writes rates_to_json() in one step, making the folder. Errors: io_error.
void save_rates(const std::filesystem::path& file, const MachineRates& rates,
                const Machine& machine, Isa isa);

/// Reads what save_rates() wrote; `source` is the file.
/// Errors: not_found, io_error; corrupt_file for what is no such JSON, truncated, or absurd (a rate
/// that no machine has, or a level of memory at less than half the speed of the one behind it);
/// invalid_argument for the rates of another CPU, level or version. Each says what was got and
/// expected.
MachineRates load_rates(const std::filesystem::path& file, const Machine& machine, Isa isa);

/// One line for reports: "176.2 GFLOP/s, bf16 352.4, s8 704.8; L1 350, L2 110, L3 25, memory 11 GB/s; 5.1e9 exp2/s
/// (nominal)".
std::string describe(const MachineRates& rates);

}  // namespace tessera
