// SPDX-License-Identifier: Apache-2.0
// The inputs of golden vectors through a model, and how its outputs are called there.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tessera/pipeline/reference_tensors.hpp"

namespace tessera {

/// A model as its golden vectors need it: one package, or those of two towers.
struct VerifiedModel {
  std::shared_ptr<const models::Package> texts, images;  ///< of the inputs that the file has

  bool has_towers() const noexcept { return texts != nullptr && images != nullptr; }
  const models::Package& any() const noexcept { return texts ? *texts : *images; }
};

/// Outputs of two towers are called as joined_towers() calls them.
struct TowerNames {
  std::string prefix, projected;

  /// What the tower calls the output of the file called `name`; nothing: it is none of its.
  std::optional<std::string> own(const std::string& name) const;
};
const TowerNames& text_tower_names();
const TowerNames& image_tower_names();
/// "logits_per_image", "logits_per_text"
bool is_between_towers(const std::string& name);

/// The pixel_values of `file`: of another size than the model's own, positions are interpolated.
/// Errors: as ReferenceImages::open().
ReferenceImages golden_images(const std::string& file, const models::Package& package);

/// `names` of the outputs of `file`'s inputs, in the reference's shapes, at one level; of no names all.
/// `threads`: 0: the default. Errors: as ReferenceInput::open(), ReferenceImages::open(), Encoder().
std::vector<ReferenceOutput::Tensor> compute_outputs(const VerifiedModel& model,
                                                     const std::string& file, Isa isa,
                                                     Precision precision, int threads,
                                                     const std::vector<std::string>& names);

/// Where the output of this name is computed.
struct OutputWriter {
  int part = 0;        ///< images, texts, what is between them
  std::size_t op = 0;  ///< of the program
  std::string value;   ///< as the program calls it, "layer.2.out"; "": the model has no such output
};
OutputWriter writer_of(const VerifiedModel& model, const std::string& name);

}  // namespace tessera
