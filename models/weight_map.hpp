// SPDX-License-Identifier: Apache-2.0
//
// Finds the tensors of a model in a checkpoint, under the names that published files use, and
// checks their shapes before anything is loaded.
//
// Names are asked for in full, as a checkpoint of a class with a head has them
// ("bert.encoder.layer.0.output.dense.weight"). A file of the bare encoder leaves the first part
// away; files of before 2020 call the weight and bias of a norm gamma and beta. Tensors that nobody
// asks for (position_ids, the head of another task) are never looked at.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.hpp"
#include "runtime/weights/checkpoint.hpp"

namespace tessera::models {

class WeightMap {
 public:
  /// `where` opens every message ("bert"); `base_prefix` is the part of a name that a file of the
  /// bare encoder lacks ("bert."); `config_name` is the file that shapes come from.
  /// The checkpoint must outlive the map.
  WeightMap(const Checkpoint& checkpoint, std::string where, std::string base_prefix,
            std::string config_name);

  /// Is there a tensor that `name` may stand for?
  bool has(std::string_view name) const { return look_up(name) != nullptr; }

  /// Is there a weight or a bias of the linear `name`?
  bool has_linear(const std::string& name) const {
    return has(name + ".weight") || has(name + ".bias");
  }

  /// The name in the checkpoint of the tensor `name`, whose shape must be `shape`.
  /// Throws not_found or corrupt_file (shape), unsupported_model (a dtype that no weight has).
  std::string find(std::string_view name, std::initializer_list<Dim> shape) const;

  /// The one element of the tensor `name`, whatever its shape. Throws as find().
  float scalar(std::string_view name) const;
  /// The elements of the vector `name`, which is small. Throws as find().
  std::vector<float> values(std::string_view name, const Dim& size) const;

  /// The first of `names` that the checkpoint has; the first of them if it has none.
  std::string_view first_of(std::initializer_list<std::string_view> names) const;

 private:
  std::vector<std::string> spellings(std::string_view name) const;
  const StoredTensor* look_up(std::string_view name) const;

  const Checkpoint& checkpoint_;
  std::string where_, base_prefix_, config_name_;
  bool is_bare_;  // the file is one of the bare encoder: names without prefix come first
};

}  // namespace tessera::models
