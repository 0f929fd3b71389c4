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
/// adds sizes, program.tokens, the ops and every output but "embedding".
struct BuildContext {
  const Config& config;
  Builder& builder;
  Package& package;
  Tower tower = Tower::automatic;
};

/// A class of the reference, as config.json's "architectures" names it.
struct ModelClass {
  const char* name;
  Task task;
};

struct Family {
  const char* model_type;
  /// What a tensor of the encoder is prefixed with in a file of a class with a head.
  const char* base_prefix;
  /// The class without head comes first.
  std::span<const ModelClass> classes;
  /// Returns the last hidden state.
  ValueId (*build)(BuildContext& context);

  const ModelClass* find(std::string_view class_name) const noexcept;
};

/// All families, in the order of supported_architectures().
std::span<const Family> families() noexcept;

/// Null if there is no family of that type.
const Family* find_family(std::string_view model_type) noexcept;
/// The family that has a class of that name; null if none has.
const Family* find_family_of_class(std::string_view class_name) noexcept;

ValueId build_bert(BuildContext& context);                   // bert/bert.cpp
ValueId build_roberta(BuildContext& context);                // bert/roberta.cpp: all three
ValueId build_distilbert(BuildContext& context);             // bert/distilbert.cpp
ValueId build_mpnet(BuildContext& context);                  // bert/mpnet.cpp
ValueId build_electra(BuildContext& context);                // bert/electra.cpp
ValueId build_albert(BuildContext& context);                 // bert/albert.cpp
ValueId build_vit(BuildContext& context);                    // vit/vit.cpp
ValueId build_deit(BuildContext& context);                   // vit/vit.cpp
ValueId build_dinov2(BuildContext& context);                 // vit/dinov2.cpp
ValueId build_dinov2_with_registers(BuildContext& context);  // vit/dinov2.cpp
ValueId build_beit(BuildContext& context);                   // vit/beit.cpp
ValueId build_clip(BuildContext& context);                   // vit/clip.cpp
ValueId build_siglip(BuildContext& context);                 // vit/siglip.cpp

}  // namespace tessera::models
