// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/integer_tensors.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/compressed_tensors.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/session/parts.hpp"
#include "tessera/pipeline/encoder.hpp"

namespace tessera {
namespace {

using Names = std::set<std::string>;

struct Readers {
  Names wanted;                                 ///< by linears in whole numbers
  Names others;                                 ///< by anything else
  Names tables;                                 ///< of `others`
  std::vector<std::vector<std::string>> fused;  ///< sources of one weight each
};

/// Its rows are rows of its sources.
bool is_plain(const Parameter& p) {
  return !p.transposed && p.taps == 1 && p.minus.rows == 0 && p.batch_norm.gamma.empty();
}

void add_uses(const Program& program, Readers& uses) {
  for (const Parameter& p : program.parameters) {
    const bool is_whole =
        p.kind == ParameterKind::matrix && p.precision == Precision::s8 && is_plain(p);
    if (is_whole) uses.fused.emplace_back();
    for (const Source& source : p.sources) {
      if (is_whole) uses.fused.back().push_back(source.tensor);
      (is_whole ? uses.wanted : uses.others).insert(source.tensor);
      if (p.kind == ParameterKind::table) uses.tables.insert(source.tensor);
    }
    for (const std::string* name : {&p.minus.tensor, &p.row_scale, &p.projection.weight,
                                    &p.batch_norm.weight, &p.window.weight}) {
      uses.others.insert(*name);
    }
  }
}

Readers all_uses(std::span<const models::Package> packages) {
  Readers uses;
  for (const models::Package& package : packages) {
    ModelOptions options{.precision = Precision::s8};
    add_uses(model_program(package.program, options), uses);  // all outputs
    options.outputs = {main_output(package.program)};
    add_uses(model_program(package.program, options), uses);
  }
  return uses;
}

std::string module_of(const std::string& tensor) {
  return tensor.substr(0, tensor.size() - models::kWeight.size());
}

/// What a compressor of linears stores: X.weight (N,K).
bool is_weight_of_linear(const StoredTensor& tensor) {
  return tensor.name.ends_with(models::kWeight) && tensor.shape.size() == 2 &&
         weight_dtype(tensor.type).has_value();
}

/// Those of `tensors` that one of `keep` names.
Names kept(const Names& tensors, std::span<const std::string> keep) {
  Names names;
  for (const std::string& name : keep) {
    const std::size_t before = names.size();
    bool is_any = false;
    for (const std::string& tensor : tensors) {
      if (tensor != name && module_of(tensor) != name && !tensor.starts_with(name + ".")) continue;
      names.insert(tensor);
      is_any = true;
    }
    if (is_any || names.size() > before) continue;
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("weights that stay floats: got {}, expected one of the {} modules that become "
                    "whole numbers, or a module above some of them, as {}",
                    detail::in_quotes(name), tensors.size(),
                    tensors.empty() ? std::string("none") : module_of(*tensors.begin())));
  }
  return names;
}

/// Where one of the sources of a fused weight `is`, `add` all of them: until nothing is added.
template <class Is, class Add>
void spread(const std::vector<std::vector<std::string>>& fused, Is&& is, Add&& add) {
  for (bool changes = true; changes;) {
    changes = false;
    for (const std::vector<std::string>& sources : fused) {
      if (!std::any_of(sources.begin(), sources.end(), is)) continue;
      for (const std::string& name : sources) changes |= add(name);
    }
  }
}

/// What may be stored as whole numbers, as far as the file says.
Names stored_weights(const Readers& uses, const Checkpoint& own) {
  Names stored;
  for (const std::string& name : uses.wanted) {
    const StoredTensor* const tensor = own.find(name);
    if (tensor != nullptr && is_weight_of_linear(*tensor)) stored.insert(name);
  }
  return stored;
}

Names kept_with_fused(const Readers& uses, const Names& stored, std::span<const std::string> keep) {
  Names stays = kept(stored, keep);
  spread(
      uses.fused, [&](const std::string& name) { return stays.contains(name); },
      [&](const std::string& name) { return stored.contains(name) && stays.insert(name).second; });
  return stays;
}

}  // namespace

std::set<std::string> quantized_tensors(std::span<const models::Package> packages,
                                        const Checkpoint& own) {
  return stored_weights(all_uses(packages), own);
}

std::set<std::string> tensors_that_stay(std::span<const models::Package> packages,
                                        const Checkpoint& own, std::span<const std::string> keep) {
  const Readers uses = all_uses(packages);
  return kept_with_fused(uses, stored_weights(uses, own), keep);
}

IntegerTensors choose_integer_tensors(std::span<const models::Package> packages,
                                      const Checkpoint& own, std::span<const std::string> keep) {
  const Readers uses = all_uses(packages);
  const Names stored = stored_weights(uses, own);
  // Fused ones are all or nothing: first those that stay, then those that cannot be stored.
  const Names stays = kept_with_fused(uses, stored, keep);
  IntegerTensors result;
  result.factors = tensor_factors(packages, stays);
  for (const std::string& name : stored) {
    const bool is_for_others = uses.others.contains(name) || result.factors.differ.contains(name);
    if (!stays.contains(name) && !is_for_others) result.whole.insert(name);
  }
  spread(
      uses.fused,
      [&](const std::string& name) { return !name.empty() && !result.whole.contains(name); },
      [&](const std::string& name) { return result.whole.erase(name) > 0; });
  for (const std::string& name : stored) {
    if (!stays.contains(name) && !result.whole.contains(name)) result.at_load.push_back(name);
  }
  for (const StoredTensor* tensor : own.tensors()) {
    if (!is_weight_of_linear(*tensor) || result.whole.contains(tensor->name)) continue;
    if (!uses.tables.contains(tensor->name)) result.floats.push_back(module_of(tensor->name));
  }
  return result;
}

}  // namespace tessera
