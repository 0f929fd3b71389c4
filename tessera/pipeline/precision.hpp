// SPDX-License-Identifier: Apache-2.0
// What linears multiply: as asked, or chosen from what the checkpoint holds and this machine measures.
#pragma once

#include <string>
#include <string_view>

#include "models/package.hpp"
#include "runtime/machine/rates.hpp"

namespace tessera {

enum class PrecisionOption : std::uint8_t {
  fp32,
  bf16,
  automatic,  ///< bf16 where a probe shows it faster and every matrix is stored in 16 bits; else fp32
};
inline constexpr PrecisionOption kPrecisionOptions[] = {
    PrecisionOption::fp32, PrecisionOption::bf16, PrecisionOption::automatic};
/// "fp32", "bf16", "auto"
const char* to_string(PrecisionOption option) noexcept;
/// "fp32", "bf16": as options spell it.
const char* option_name(Precision precision) noexcept;

struct PrecisionChoice {
  Precision precision = Precision::f32;
  std::string why;  ///< "asked for", "auto: bf16 multiplies 2.0 x as fast here, stored as bf16", …
};

/// Nothing is read of the weights but their types.
PrecisionChoice choose_precision(PrecisionOption option, const models::Package& package,
                                 const MachineRates& rates);

}  // namespace tessera
