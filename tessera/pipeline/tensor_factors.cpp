// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/tensor_factors.hpp"

#include <algorithm>

#include "kernels/kernel_table.hpp"
#include "runtime/session/parts.hpp"
#include "tessera/pipeline/encoder.hpp"

namespace tessera {

Program whole_program(const models::Package& package, const std::set<std::string>& stays,
                      bool all_outputs) {
  Program program = package.program;
  for (Parameter& p : program.parameters) {
    const bool is_kept = p.kind == ParameterKind::matrix &&
                         std::any_of(p.sources.begin(), p.sources.end(), [&](const Source& source) {
                           return stays.contains(source.tensor);
                         });
    p.keeps_floats = p.keeps_floats || is_kept;
  }
  ModelOptions options{.precision = Precision::s8};
  if (!all_outputs) options.outputs = {main_output(program)};
  return model_program(program, options);
}

TensorFactors tensor_factors(std::span<const models::Package> packages,
                             const std::set<std::string>& stays, const MeasuredColumns& measured) {
  TensorFactors result;
  for (const models::Package& package : packages) {
    for (const bool all_outputs : {true, false}) {
      const Program program = whole_program(package, stays, all_outputs);
      const auto factors =
          input_factors(program, *package.checkpoint, kernels::kernels_at(Isa::baseline), measured);
      for (const Parameter& p : program.parameters) {
        if (p.kind != ParameterKind::matrix || p.input_factors < 0) continue;
        for (const Source& source : p.sources) {
          const std::vector<float>& f = factors[at(p.input_factors)];
          const auto [known, is_new] = result.of.emplace(source.tensor, f);
          if (!is_new && known->second != f) result.differ.insert(source.tensor);
        }
      }
    }
  }
  for (const std::string& tensor : result.differ) result.of.erase(tensor);
  return result;
}

}  // namespace tessera
