// SPDX-License-Identifier: Apache-2.0
// --as: what texts are to a model that reads queries and documents apart.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>

#include "models/package.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera::cli {

struct ModelFlags;

struct RoleFlag {
  std::optional<std::string> role;  // not given: a Router's default_route

  void add_to(CLI::App& command, const std::string& help);
  models::Route route() const;
  /// Of a text of this package; documents where nothing was asked for.
  TextRole role_in(const models::Package& package) const;
  /// Throws UsageError if a role was given, and the model reads all texts alike.
  void require_roles(const models::Package& package) const;
  /// The model's package of this role. Errors: as models::open_package(); UsageError as above.
  std::shared_ptr<const models::Package> open(const ModelFlags& model,
                                              models::Tower tower = models::Tower::automatic) const;
  /// The same of a command that reads no texts of its own, where a role is a Router's route alone.
  void add_route_to(CLI::App& command);
  std::shared_ptr<const models::Package> open_route(
      const ModelFlags& model, models::Tower tower = models::Tower::automatic) const;
};

}  // namespace tessera::cli
