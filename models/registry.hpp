// SPDX-License-Identifier: Apache-2.0
//
// Which classes of which model types are understood, and who builds them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "models/builder.hpp"
#include "models/config.hpp"
#include "models/package.hpp"

namespace tessera::models {

/// What a family's builder is given. `package` comes with architecture and task set; the builder
/// adds sizes, program.inputs, the ops and every output but "embedding".
struct BuildContext {
  const Config& config;
  Builder& builder;
  Package& package;
  std::string prefix{};  ///< the family's base_prefix
  Tower tower = Tower::automatic;
  /// "embedding" is the projection as it comes, not of length 1 (sentence-transformers' CLIPModel).
  bool embedding_is_as_projected = false;
};

/// A class of the reference: config.json's "architectures" names it by the family's class_prefix and
/// this suffix ("Bert" "ForMaskedLM").
struct ModelClass {
  const char* suffix;
  Task task;
};

struct Family {
  const char* model_type;
  /// What a tensor of the encoder is prefixed with in a file of a class with a head.
  const char* base_prefix;
  const char* class_prefix;
  /// The class without head comes first.
  std::span<const ModelClass> classes;
  /// Returns the last hidden state.
  ValueId (*build)(BuildContext& context);
  /// Published with code beside it (auto_map), which is never run: what this family computes is that.
  bool is_published_with_code = false;
  /// timm's: config.json has no model_type; "architecture" names the class.
  bool is_timm = false;

  const ModelClass* find(std::string_view class_name) const noexcept;
  std::string name_of(const ModelClass& c) const { return std::string(class_prefix) + c.suffix; }
  /// All names, with `separator` between them.
  std::string class_names(std::string_view separator) const;
};

/// All families, in the order of supported_architectures().
std::span<const Family> families() noexcept;

/// Null if there is no family of that type. BERT with ALiBi is Jina's, whose code says so as well.
const Family* find_family(std::string_view model_type) noexcept;
/// The family that has a class of that name; null if none has.
const Family* find_family_of_class(std::string_view class_name) noexcept;

}  // namespace tessera::models
