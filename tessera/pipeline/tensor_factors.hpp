// SPDX-License-Identifier: Apache-2.0
// The input factors that Precision::s8 takes, by the tensors whose columns they divide.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "models/package.hpp"
#include "runtime/weights/input_factors.hpp"

namespace tessera {

struct TensorFactors {
  std::map<std::string, std::vector<float>> of{};  ///< X.weight: f (K), or nothing where all are 1
  /// Tensors for which the main output and all outputs together, or two of the packages, take different
  /// ones: other linears multiply the same rows there.
  std::set<std::string> differ{};
};

/// `stays`: tensors that are not quantised. `measured`: as input_factors().
TensorFactors tensor_factors(std::span<const models::Package> packages,
                             const std::set<std::string>& stays,
                             const MeasuredColumns& measured = {});

/// The program that Precision::s8 packs for the main output, or for all, with these tensors as floats.
Program whole_program(const models::Package& package, const std::set<std::string>& stays,
                      bool all_outputs);

}  // namespace tessera
