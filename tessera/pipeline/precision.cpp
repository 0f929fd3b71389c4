// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/precision.hpp"

#include <fmt/format.h>

#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/session/level.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {
namespace {

/// The name of a tensor of a matrix that is stored in more than 16 bits, or null.
const std::string* wide_matrix(const models::Package& package) {
  for (const Parameter& p : package.program.parameters) {
    if (p.kind != ParameterKind::matrix) continue;
    for (const Source& source : p.sources) {
      const StoredTensor* tensor =
          source.tensor.empty() ? nullptr : package.checkpoint->find(source.tensor);
      if (tensor == nullptr) continue;
      const auto elements = static_cast<std::size_t>(tensor->elements());
      if (tensor->bytes > 2 * elements) return &source.tensor;
    }
  }
  return nullptr;
}

}  // namespace

const char* to_string(PrecisionOption option) noexcept {
  switch (option) {
    case PrecisionOption::fp32:
      return "fp32";
    case PrecisionOption::bf16:
      return "bf16";
    case PrecisionOption::automatic:
      return "auto";
    case PrecisionOption::int8:
      return "int8";
  }
  return "?";
}

const char* option_name(Precision precision) noexcept {
  return precision == Precision::f32  ? "fp32"
         : precision == Precision::s8 ? "int8"
                                      : to_string(precision);
}

Precision other_precision(Precision precision, const Checkpoint& checkpoint) noexcept {
  if (precision != Precision::f32) return Precision::f32;
  return checkpoint.has_scales() ? Precision::s8 : Precision::bf16;
}

std::optional<double> speed_of(Precision precision, const MachineRates& rates) {
  if (rates.source == "nominal") return std::nullopt;
  return rates.flops[precision] / rates.flops[Precision::f32];
}

std::string describe_speed(Precision precision, const MachineRates& rates) {
  const std::optional<double> speed = speed_of(precision, rates);
  if (!speed) return "no rates were measured";
  return fmt::format("{} multiplies {:.2f} x as fast as fp32 here", option_name(precision), *speed);
}

void warn_if_slower(PrecisionOption option, const MachineRates& rates) {
  if (option != PrecisionOption::bf16 && option != PrecisionOption::int8) return;
  const Precision precision = precision_to_ask(option);
  if (speed_of(precision, rates).value_or(1) >= 1) return;
  log(LogLevel::warning, fmt::format("precision {} is asked for and the slower one: {}",
                                     option_name(precision), describe_speed(precision, rates)));
}

MachineRates rates_of_other(Isa isa) {
  try {
    return resolve_rates(machine(), isa);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::invalid_argument) throw;
    return nominal_rates(machine(), isa);
  }
}

MachineRates rates_of_bf16(std::optional<Isa> asked, const MachineRates& rates) {
  const Isa isa = resolve_isa(asked, Precision::bf16);
  return isa == resolve_isa(asked) ? rates : rates_of_other(isa);
}

PrecisionChoice choose_precision(PrecisionOption option, const models::Package& package,
                                 const std::function<MachineRates()>& rates) {
  if (option == PrecisionOption::fp32) return {Precision::f32, "default"};
  const MachineRates measured = rates();
  if (option != PrecisionOption::automatic) {
    const Precision asked = precision_to_ask(option);
    return {asked, "asked for; " + describe_speed(asked, measured)};
  }
  const std::string speed = describe_speed(Precision::bf16, measured);
  const std::optional<double> ratio = speed_of(Precision::bf16, measured);
  if (!ratio) return {Precision::f32, "auto: " + speed + " (tessera plan measures)"};
  if (*ratio < kWorthIt) {
    return {Precision::f32, fmt::format("auto: {}, expected {} x", speed, kWorthIt)};
  }
  if (package.checkpoint->has_scales()) {  // times their scales they do not fit into bf16
    return {Precision::f32,
            "auto: weights are stored as whole numbers, which int8 takes as they are"};
  }
  if (const std::string* wide = wide_matrix(package)) {
    return {Precision::f32, fmt::format("auto: {} is stored in more than 16 bits", *wide)};
  }
  return {Precision::bf16, "auto: " + speed + ", and every matrix is stored in 16 bits"};
}

}  // namespace tessera
