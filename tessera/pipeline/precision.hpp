// SPDX-License-Identifier: Apache-2.0
// What linears multiply: as asked, or chosen from what the checkpoint holds and this machine measures.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "models/package.hpp"
#include "runtime/machine/rates.hpp"

namespace tessera {

enum class PrecisionOption : std::uint8_t {
  fp32,
  bf16,
  automatic,  ///< bf16 where a probe shows it faster by kWorthIt and every matrix is stored in 16 bits
  int8,
};
inline constexpr PrecisionOption kPrecisionOptions[] = {
    PrecisionOption::fp32, PrecisionOption::bf16, PrecisionOption::automatic,
    PrecisionOption::int8};
/// "fp32", "bf16", "auto", "int8"
const char* to_string(PrecisionOption option) noexcept;
/// "fp32", "bf16", "int8": as options spell it; of an op also "ternary".
const char* option_name(Precision precision) noexcept;
/// What another precision would give is said of: beside fp32 int8 where the weights of `checkpoint` are
/// stored as whole numbers, else bf16; beside both fp32.
Precision other_precision(Precision precision, const Checkpoint& checkpoint) noexcept;

/// Of the level that the choice is made at: an option that may become bf16 asks for its units.
constexpr Precision precision_to_ask(PrecisionOption option) noexcept {
  return option == PrecisionOption::fp32   ? Precision::f32
         : option == PrecisionOption::int8 ? Precision::s8
                                           : Precision::bf16;
}

/// What is known of a level that nothing is computed at, for a forecast: resolve_rates(), but nominal
/// where TESSERA_RATES has files of other levels only.
MachineRates rates_of_other(Isa isa);
/// Rates of the level that bf16 is computed at: `rates`, where that is the level of fp32, too.
MachineRates rates_of_bf16(std::optional<Isa> asked, const MachineRates& rates);

/// What the probe must show. It multiplies in registers; a kernel also loads, and where it widens, it
/// falls behind: MiniLM 1 x 128 on Zen 5 takes 1.39 x the time of fp32 at level avx2 and 1.0 to 1.14 x at
/// avx512, where the probes say 0.95 to 1.2 x the rate (tessera profile, --precision).
inline constexpr double kWorthIt = 1.25;

struct PrecisionChoice {
  Precision precision = Precision::f32;
  std::string why;  ///< "default", "asked for; bf16 multiplies 2.0 x as fast as fp32 here", …
};

/// Multiply-adds of `precision` in the time of one of fp32; empty where nobody measured.
std::optional<double> speed_of(Precision precision, const MachineRates& rates);
/// "bf16 multiplies 2.00 x as fast as fp32 here", "no rates were measured"
std::string describe_speed(Precision precision, const MachineRates& rates);

/// A warning to the log callback if bf16 or int8 is asked for and was measured slower than fp32. For
/// whoever opens a model, once.
void warn_if_slower(PrecisionOption option, const MachineRates& rates);

/// Nothing is read of the weights but their types. `rates` is called where they are asked for: not for
/// fp32.
PrecisionChoice choose_precision(PrecisionOption option, const models::Package& package,
                                 const std::function<MachineRates()>& rates);

}  // namespace tessera
