// SPDX-License-Identifier: Apache-2.0
// --against of `profile`: how far a precision takes the model from another one, layer by layer.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <vector>

#include "models/package.hpp"
#include "tessera/measure/against.hpp"

namespace tessera::cli {

struct ModelFlags;

struct AgainstFlags {
  std::string precision;             // empty: not given
  std::vector<std::string> outputs;  // empty: the main one

  void add_to(CLI::App& command);
  bool is_given() const { return !precision.empty(); }
  /// Throws UsageError for flags that say nothing, with --against or without it, and for two sides that
  /// are the same.
  void check(const CLI::App& command, const ModelFlags& model) const;
  /// Precondition: is_given().
  Against compare(const ModelFlags& model, const std::shared_ptr<const models::Package>& package,
                  BatchShape shape, MeteredOptions::Rates rates) const;
};

}  // namespace tessera::cli
