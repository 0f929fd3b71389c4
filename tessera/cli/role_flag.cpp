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

std::shared_ptr<const models::Package> RoleFlag::open(const ModelFlags& model) const {
  auto package = model.open_package(models::Tower::automatic, route());
  require_roles(*package);
  return package;
}

}  // namespace tessera::cli
