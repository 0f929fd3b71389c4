// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/model_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// `directory` of a module, "0_Transformer" or the model's own, without a slash at its end.
fs::path within(const fs::path& model, const fs::path& directory) {
  const fs::path name = directory.lexically_relative(model).lexically_normal();
  if (name.empty() || *name.begin() == "..") {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: is not in {}, expected the modules of a model in its directory",
                            directory.string(), model.string()));
  }
  const fs::path path = (model / name).lexically_normal();
  return path.filename().empty() || path.filename() == "." ? path.parent_path() : path;
}

}  // namespace

bool are_towers(const ModelPart& part) {
  return part.packages.size() > 1 && part.packages.front().routes.empty();
}

bool is_table_alone(const ModelPart& part) {
  return !path_exists(part.transformer / "config.json");
}

std::vector<ModelPart> open_parts(const fs::path& model) {
  std::vector<ModelPart> parts;
  const auto add = [&](models::Package package, const char* name) {
    if (package.checkpoint->has_scales()) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{}: is quantised already: {}, expected weights of floats",
                              package.transformer_directory.string(), package.stored_weights));
    }
    const fs::path directory = within(model, package.transformer_directory);
    auto part = std::find_if(parts.begin(), parts.end(), [&](const ModelPart& known) {
      return known.transformer == directory;
    });
    if (part == parts.end()) part = parts.insert(parts.end(), {directory, {}, {}});
    part->packages.push_back(std::move(package));
    part->names.emplace_back(name);
  };
  models::Package first = models::open_package(model);
  models::PackageOptions one, other;
  if (!first.routes.empty()) {
    one.route = models::Route::query;
    other.route = models::Route::document;
    add(models::open_package(model, one), "query route");
    add(models::open_package(model, other), "document route");
  } else if (first.similarity) {
    one.tower = models::Tower::text;
    other.tower = models::Tower::image;
    add(models::open_package(model, one), "text tower");
    add(models::open_package(model, other), "image tower");
  } else {
    add(std::move(first), "");
  }
  return parts;
}

}  // namespace tessera
