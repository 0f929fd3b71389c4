// SPDX-License-Identifier: Apache-2.0
// Which values that are quantised have factors of their columns, and what these are made of.
#pragma once

#include <vector>

#include "runtime/program/program.hpp"

namespace tessera {

/// A product in whole numbers: of a value, before it is quantised, and a matrix.
struct WholeProduct {
  ValueId value;
  ParameterId matrix;
};

/// Adds to `program` a ParameterKind::factors for each of the values, one for all that a matrix connects
/// (layers that share one), and names it in the matrices. By value: its factors, or kNone.
///
/// InputFactors::norms are those that write the values; windows of rows are looked through.
std::vector<ParameterId> add_input_factors(Program& program,
                                           const std::vector<WholeProduct>& products);

}  // namespace tessera
