// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/precision.hpp"

#include <fmt/format.h>

#include "runtime/weights/safetensors.hpp"

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

std::string speed(const MachineRates& rates) {
  return fmt::format("bf16 multiplies {:.2f} x as fast as fp32 here",
                     rates.flops[Precision::bf16] / rates.flops[Precision::f32]);
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
  }
  return "?";
}

const char* option_name(Precision precision) noexcept {
  return precision == Precision::f32 ? "fp32" : "bf16";
}

PrecisionChoice choose_precision(PrecisionOption option, const models::Package& package,
                                 const std::function<MachineRates()>& rates) {
  if (option == PrecisionOption::fp32) return {Precision::f32, "default"};
  const MachineRates measured = rates();
  const bool anybody_measured = measured.source != "nominal";
  if (option == PrecisionOption::bf16) {
    return {Precision::bf16,
            "asked for; " + (anybody_measured ? speed(measured) : "no rates were measured")};
  }
  if (!anybody_measured) {
    return {Precision::f32, "auto: no rates were measured (tessera plan measures)"};
  }
  if (measured.flops[Precision::bf16] < kWorthIt * measured.flops[Precision::f32]) {
    return {Precision::f32, fmt::format("auto: {}, expected {} x", speed(measured), kWorthIt)};
  }
  if (const std::string* wide = wide_matrix(package)) {
    return {Precision::f32, fmt::format("auto: {} is stored in more than 16 bits", *wide)};
  }
  return {Precision::bf16, "auto: " + speed(measured) + ", and every matrix is stored in 16 bits"};
}

}  // namespace tessera
