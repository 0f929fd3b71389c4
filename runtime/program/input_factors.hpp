// SPDX-License-Identifier: Apache-2.0
// Which values that are quantised have factors of their columns, and what these are made of.
#pragma once

#include <optional>
#include <vector>

#include "runtime/program/program.hpp"

namespace tessera {

/// A product in whole numbers: of a value, before it is quantised, and a matrix.
struct WholeProduct {
  ValueId value;
  ParameterId matrix;
};

/// A value whose columns an op multiplies by factors as it quantises it. Its name is that of the same value in f32,
/// in a program of any precision.
struct FactoredValue {
  ValueId value;
  ParameterId factors;
};
std::optional<FactoredValue> factored_value(const Op& op) noexcept;

/// Adds to `program` a ParameterKind::factors for each of the values, one for all that a matrix connects
/// (layers that share one), and names it in the matrices. By value: its factors, or kNone.
///
/// InputFactors::norms are those that write the values; windows of rows are looked through.
std::vector<ParameterId> add_input_factors(Program& program,
                                           const std::vector<WholeProduct>& products);

}  // namespace tessera
