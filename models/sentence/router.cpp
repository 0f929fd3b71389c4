// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/router.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModules = "modules.json";
constexpr const char* kPylateDense = "pylate.models.Dense.Dense";  // of sentence-transformers, too

/// A module's directory lies below the one that was opened; a path that leads elsewhere is not
/// followed.
void check_path(const ModuleEntry& entry) {
  const fs::path normal = fs::path(entry.path).lexically_normal();
  const bool leaves = normal.is_absolute() || (!normal.empty() && normal.begin()->string() == "..");
  if (leaves || entry.path.find('\0') != std::string::npos) {
    entry.config.wrong(entry.path_key, "a directory below that of modules.json");
  }
}

bool is_router(const std::string& type) {
  const std::string name = class_of_module(type);
  return name == "Router" || name == "Asym";
}

/// What the reference's encode_query() and encode_document() pass on; "" is None.
const char* task_of(Route route) noexcept {
  return route == Route::query ? "query" : route == Route::document ? "document" : "";
}

class RouterConfig {
 public:
  RouterConfig(const fs::path& directory, const std::string& path)
      : config_(read(directory, path)),
        types_(config_.object("types")),
        structure_(config_.object("structure")),
        parameters_(config_.object("parameters")) {
    for (const auto& [name, modules] : structure_.shown_members()) names_.push_back(name);
    if (names_.empty()) config_.wrong("structure", "an object with a list of modules per route");
    for (const auto& [key, route] : parameters_.string_map("route_mappings")) {
      if (!has(route)) parameters_.wrong("route_mappings", "routes of " + listed());
    }
    if (parameters_.has("default_route") && !has(parameters_.string("default_route", ""))) {
      parameters_.wrong("default_route", "one of " + listed());
    }
  }

  const std::vector<std::string>& names() const noexcept { return names_; }

  /// Router._resolve_route
  std::string resolve(Route route) const {
    const std::string task = task_of(route);
    const auto mappings = parameters_.string_map("route_mappings");
    std::vector<std::string> keys;  // str() of the reference's (task, modality), the closest first
    if (!task.empty()) {
      keys = {fmt::format("('{}', 'text')", task), fmt::format("('{}', None)", task)};
    }
    keys.insert(keys.end(), {"(None, 'text')", "(None, None)"});
    for (const std::string& key : keys) {
      const auto mapped = mappings.find(key);
      if (mapped != mappings.end()) return mapped->second;
    }
    if (has(task)) return task;
    if (has("text")) return "text";
    if (!task.empty()) {
      throw Error(ErrorCode::not_found, fmt::format("{}: route: got \"{}\", expected one of {}",
                                                    config_.name(), task, listed()));
    }
    return default_route();
  }

  std::vector<ModuleEntry> modules_of(const std::string& route, const std::string& path) const {
    std::vector<ModuleEntry> modules;
    for (const std::string& id : structure_.strings(route)) {
      if (!types_.has(id)) types_.wrong(id, "the class of a module of route \"" + route + '"');
      modules.push_back({.config = types_,
                         .type_key = id,
                         .path_key = id,
                         .type = types_.string(id, ""),
                         .path = (fs::path(path) / id).string()});
      check_path(modules.back());
      if (is_router(modules.back().type)) types_.unsupported(id, "no Router within a Router");
    }
    if (modules.empty()) structure_.wrong(route, "one module at least");
    return modules;
  }

 private:
  static Config read(const fs::path& directory, const std::string& path) {
    constexpr const char* kFile = "router_config.json";
    const fs::path folder = directory / path;
    const bool is_older = !path_exists(folder / kFile) && path_exists(folder / "config.json");
    const char* const name = is_older ? "config.json" : kFile;  // Asym's
    return Config::read(folder / name, (fs::path(path) / name).lexically_normal().string());
  }
  bool has(const std::string& name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }
  std::string listed() const { return fmt::format("{}", fmt::join(names_, ", ")); }
  std::string default_route() const {
    if (parameters_.has("default_route")) return parameters_.string("default_route", "");
    if (parameters_.boolean("allow_empty_key", true)) return names_.front();
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: route: got none, with allow_empty_key false and no default_route, "
                            "expected one of {} to be asked for (--as query|document)",
                            config_.name(), listed()));
  }

  Config config_, types_, structure_, parameters_;
  std::vector<std::string> names_;
};

}  // namespace

std::string class_of_module(const std::string& type) {
  if (type == kPylateDense) return "Dense";
  if (!type.starts_with("sentence_transformers.")) return type;
  return type.substr(type.rfind('.') + 1);
}

ModuleList read_module_list(const fs::path& directory, Route route) {
  ModuleList list;
  for (const Config& each : Config::read_list(directory / kModules, kModules)) {
    ModuleEntry entry{.config = each,
                      .type_key = "type",
                      .path_key = "path",
                      .type = each.string("type", ""),
                      .path = each.string("path", "")};
    check_path(entry);
    if (!is_router(entry.type)) {
      list.modules.push_back(std::move(entry));
      continue;
    }
    if (!list.routes.empty()) each.unsupported("type", "one Router");
    const RouterConfig router(directory, entry.path);
    list.routes = router.names();
    list.route = router.resolve(route);
    for (ModuleEntry& module : router.modules_of(list.route, entry.path)) {
      list.modules.push_back(std::move(module));
    }
  }
  return list;
}

}  // namespace tessera::models
