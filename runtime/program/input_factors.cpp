// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/input_factors.hpp"

#include <algorithm>
#include <optional>

namespace tessera {
namespace {

/// The norm that writes each value, if one does.
std::vector<std::optional<InputFactors::Norm>> norms_of_values(const Program& program) {
  std::vector<std::optional<InputFactors::Norm>> norms(program.values.size());
  for (const Op& op : program.ops) {
    auto& norm = norms[at(output_of(op))];
    if (const auto* layer_norm = std::get_if<LayerNormOp>(&op)) {
      norm = {layer_norm->gamma, layer_norm->beta};
    } else if (const auto* linear = std::get_if<LinearOp>(&op); linear != nullptr && linear->norm) {
      norm = {linear->norm->gamma, linear->norm->beta};
    } else if (const auto* windows = std::get_if<WindowRowsOp>(&op)) {
      norm = norms[at(windows->in)];
    }
  }
  return norms;
}

/// Products by what they share, a value or a matrix: the number of a group for each.
std::vector<std::size_t> groups_of(const std::vector<WholeProduct>& products) {
  std::vector<std::size_t> group(products.size());
  for (std::size_t i = 0; i < products.size(); ++i) {
    group[i] = i;
    for (std::size_t j = 0; j < i; ++j) {
      const bool shares =
          products[j].value == products[i].value || products[j].matrix == products[i].matrix;
      if (!shares || group[j] == group[i]) continue;
      std::replace(group.begin(), group.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                   std::size_t{group[i]}, std::size_t{group[j]});
    }
  }
  return group;
}

}  // namespace

std::optional<FactoredValue> factored_value(const Op& op) noexcept {
  FactoredValue result{kNone, kNone};
  if (const auto* narrow = std::get_if<NarrowOp>(&op)) result = {narrow->in, narrow->factors};
  if (const auto* norm = std::get_if<LayerNormOp>(&op)) result = {norm->out, norm->factors};
  if (result.factors == kNone) return std::nullopt;
  return result;
}

std::vector<ParameterId> add_input_factors(Program& program,
                                           const std::vector<WholeProduct>& products) {
  const auto norms = norms_of_values(program);
  const std::vector<std::size_t> group = groups_of(products);
  std::vector<ParameterId> of_value(program.values.size(), kNone), of_group(products.size(), kNone);
  for (std::size_t i = 0; i < products.size(); ++i) {
    const auto [value, matrix] = products[i];
    ParameterId& id = of_group[group[i]];
    if (id == kNone) {
      const Value& first = program.values[at(value)];
      id = program.add_parameter({.name = first.name + ".factors",
                                  .kind = ParameterKind::factors,
                                  .rows = first.width,
                                  .sources = {}});
    }
    InputFactors& made_of = program.parameters[at(id)].made_of;
    if (of_value[at(value)] == kNone && norms[at(value)])
      made_of.norms.push_back(*norms[at(value)]);
    of_value[at(value)] = id;
    if (program.parameters[at(matrix)].input_factors == kNone) made_of.matrices.push_back(matrix);
    program.parameters[at(matrix)].input_factors = id;
  }
  return of_value;
}

}  // namespace tessera
