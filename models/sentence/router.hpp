// SPDX-License-Identifier: Apache-2.0
//
// modules.json as one list of modules. Where it names a Router (before 5.0: Asym), the modules of one
// of its routes stand in the Router's place:
//
//   router_config.json   {"types": {"query_0_StaticEmbedding": "…StaticEmbedding", …},
//                         "structure": {"query": ["query_0_StaticEmbedding"], "document": […, …]},
//                         "parameters": {"default_route": "document", …}}
//
// Which route a text takes is decided by what it is (query, document) and by its being text:
// route_mappings, else the route of that name.  sentence-transformers 5.4, base/modules/router.py
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/config.hpp"
#include "models/package.hpp"

namespace tessera::models {

/// One module, and where a file says so.
struct ModuleEntry {
  Config config;
  std::string type_key, path_key;  ///< members of `config` that errors name
  std::string type;                ///< "sentence_transformers.models.Pooling"
  std::string path;                ///< of its directory, below that of modules.json
};

struct ModuleList {
  std::vector<ModuleEntry> modules;
  std::vector<std::string> routes;  ///< of the Router, in their order; none: there is no Router
  std::string route;                ///< the one that was taken
};

/// "Pooling" for "sentence_transformers.models.Pooling" and for
/// "sentence_transformers.sentence_transformer.modules.pooling.Pooling"; a class of another package
/// is nothing that is known here, and keeps its name.
std::string class_of_module(const std::string& type);

/// The modules of directory/modules.json.
/// Errors  as Config's; not_found: the Router has no such route; invalid_argument: none is asked for,
///         and the Router has no default; corrupt_file: a route without modules, a module without a
///         type, a mapping or default to no route, a directory that is not below `directory`;
///         unsupported_model: a Router within a Router, a second one
ModuleList read_module_list(const std::filesystem::path& directory, Route route);

}  // namespace tessera::models
