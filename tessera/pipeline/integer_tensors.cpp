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
  Names multiplied;                             ///< in whole numbers, by anything
  Names others;                                 ///< by anything else
  Names tables;                                 ///< of `others`
  Names words;                                  ///< of `tables`: by ids of tokens, row by row
  Names but_words;                              ///< of `others`: as anything but that
  std::vector<std::vector<std::string>> fused;  ///< sources of one weight each
};

/// Its rows are rows of its sources.
bool is_plain(const Parameter& p) {
  return !p.transposed && p.taps == 1 && p.minus.rows == 0 && p.batch_norm.gamma.empty();
}

/// Tables that a row of is taken for each id.
std::set<ParameterId> tables_of_ids(const Program& program) {
  std::set<ParameterId> tables;
  for (const Op& op : program.ops) {
    const auto* const embedding = std::get_if<EmbeddingOp>(&op);
    if (embedding == nullptr) continue;
    for (const EmbeddingOp::Term& term : embedding->terms) {
      if (term.input == TokenInput::ids) tables.insert(term.table);
    }
  }
  return tables;
}

void add_uses(const Program& program, Readers& uses) {
  const std::set<ParameterId> by_id = tables_of_ids(program);
  for (const Parameter& p : program.parameters) {
    const bool is_whole =
        p.kind == ParameterKind::matrix && p.precision == Precision::s8 && is_plain(p);
    const bool is_of_words =
        by_id.contains(static_cast<ParameterId>(&p - &program.parameters[0])) && p.gather.empty() &&
        p.row_scale.empty();
    if (is_whole) uses.fused.emplace_back();
    for (const Source& source : p.sources) {
      if (p.precision == Precision::s8) uses.multiplied.insert(source.tensor);
      if (is_whole) uses.fused.back().push_back(source.tensor);
      (is_whole ? uses.wanted : uses.others).insert(source.tensor);
      if (p.kind == ParameterKind::table) uses.tables.insert(source.tensor);
      if (is_of_words) uses.words.insert(source.tensor);
      if (!is_whole && !is_of_words) uses.but_words.insert(source.tensor);
    }
    for (const std::string* name : {&p.minus.tensor, &p.row_scale, &p.projection.weight,
                                    &p.batch_norm.weight, &p.window.weight}) {
      uses.others.insert(*name);
      uses.but_words.insert(*name);
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

Names kept_with_fused(const Readers& uses, const Names& stored, std::span<const std::string> keep,
                      const Names& words) {
  Names all = stored;
  all.insert(words.begin(), words.end());
  Names stays = kept(all, keep);
  spread(
      uses.fused, [&](const std::string& name) { return stays.contains(name); },
      [&](const std::string& name) { return stored.contains(name) && stays.insert(name).second; });
  return stays;
}

Names stored_words(const Readers& uses, const Checkpoint& own) {
  Names stored;
  for (const std::string& name : uses.words) {
    const StoredTensor* const tensor = own.find(name);
    const bool is_table = tensor != nullptr && is_weight_of_linear(*tensor);
    if (is_table && !uses.but_words.contains(name)) stored.insert(name);
  }
  return stored;
}

}  // namespace

std::set<std::string> quantized_tensors(std::span<const models::Package> packages,
                                        const Checkpoint& own) {
  return stored_weights(all_uses(packages), own);
}

std::set<std::string> tensors_that_stay(std::span<const models::Package> packages,
                                        const Checkpoint& own, std::span<const std::string> keep,
                                        bool with_words) {
  const Readers uses = all_uses(packages);
  return kept_with_fused(uses, stored_weights(uses, own), keep,
                         with_words ? stored_words(uses, own) : Names{});
}

IntegerTensors choose_integer_tensors(std::span<const models::Package> packages,
                                      const Checkpoint& own, std::span<const std::string> keep,
                                      bool with_words) {
  const Readers uses = all_uses(packages);
  const Names stored = stored_weights(uses, own);
  // Fused ones are all or nothing: first those that stay, then those that cannot be stored.
  IntegerTensors result;
  if (with_words) result.words = stored_words(uses, own);
  const Names stays = kept_with_fused(uses, stored, keep, result.words);
  result.factors = tensor_factors(packages, stays);
  for (const std::string& name : stays) result.words.erase(name);
  for (const std::string& name : stored) {
    const auto found = result.factors.of.find(name);
    const bool has_factors = found != result.factors.of.end() && !found->second.empty();
    if (stays.contains(name) || result.factors.differ.contains(name) || has_factors) {
      result.words.erase(name);  // a linear's, too, which needs other numbers
    }
    const bool is_for_others = (uses.others.contains(name) && !result.words.contains(name)) ||
                               result.factors.differ.contains(name);
    if (!stays.contains(name) && !is_for_others) result.whole.insert(name);
  }
  spread(
      uses.fused,
      [&](const std::string& name) { return !name.empty() && !result.whole.contains(name); },
      [&](const std::string& name) {
        result.words.erase(name);
        return result.whole.erase(name) > 0;
      });
  result.whole.insert(result.words.begin(), result.words.end());
  for (const std::string& name : stored) {
    if (!stays.contains(name) && !result.whole.contains(name)) result.at_load.push_back(name);
  }
  for (const StoredTensor* tensor : own.tensors()) {
    if (!is_weight_of_linear(*tensor) || result.whole.contains(tensor->name)) continue;
    if (!uses.tables.contains(tensor->name)) result.floats.push_back(module_of(tensor->name));
  }
  for (const std::string& name : uses.multiplied) {
    const StoredTensor* const tensor = own.find(name);
    if (tensor != nullptr && !is_weight_of_linear(*tensor)) result.no_linears.push_back(name);
  }
  return result;
}

}  // namespace tessera
