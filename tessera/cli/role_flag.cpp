// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/role_flag.hpp"

#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"

namespace tessera::cli {

void RoleFlag::add_to(CLI::App& command, const std::string& help) {
  add_choice(command, "--as", role, "ROLE", {"query", "document"}, help);
}

models::Route RoleFlag::route() const {
  if (!role) return models::Route::automatic;
  return role == "query" ? models::Route::query : models::Route::document;
}

TextRole RoleFlag::role_in(const models::Package& package) const {
  if (!role && !package.multi_vector) return TextRole::none;
  return role == "query" ? TextRole::query : TextRole::document;
}

void RoleFlag::require_roles(const models::Package& package) const {
  if (!role || package.multi_vector || !package.routes.empty()) return;
  throw UsageError(
      "--as: the model reads all texts alike, expected late interaction (ColBERT) or a Router");
}

std::shared_ptr<const models::Package> RoleFlag::open(const ModelFlags& model,
                                                      models::Tower tower) const {
  auto package = model.open_package(tower, route());
  require_roles(*package);
  return package;
}

void RoleFlag::add_route_to(CLI::App& command) {
  add_to(command, "Router: what reads queries, or documents (default: its default_route)");
}

std::shared_ptr<const models::Package> RoleFlag::open_route(const ModelFlags& model,
                                                            models::Tower tower) const {
  auto package = model.open_package(tower, route());
  if (!role || !package->routes.empty()) return package;
  throw UsageError(std::string("--as: got a model without a Router, expected one") +
                   (package->multi_vector
                        ? ": queries and documents of late interaction are computed alike"
                        : ""));
}

}  // namespace tessera::cli
