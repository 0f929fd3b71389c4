// SPDX-License-Identifier: Apache-2.0
// The pixel_values that a reference model was called with, and what encodes them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tessera/pipeline/encoder.hpp"

namespace tessera {

/// What a file of reference inputs may hold beside them.
enum class ReferenceFile : std::uint8_t {
  inputs_alone,
  with_others,  ///< outputs too: whoever reads those knows their names
};

struct ReferenceImages {
  Index count = 0, height = 0, width = 0;
  Index rows = 0;             ///< token rows of each
  std::vector<float> values;  ///< (count, channels, height, width), preprocessed
  bool interpolates_positions = false;

  /// pixel_values (B,C,H,W), F32, is required. Throws Error naming the file and the tensor: not_found,
  /// corrupt_file, invalid_argument for a shape, a type, or a tensor that is no input of the class;
  /// texts are, of a class with two towers.
  static ReferenceImages open(const std::string& path, const models::Package& package,
                              bool interpolates_positions,
                              ReferenceFile holds = ReferenceFile::inputs_alone);
};

/// Encodes images that are preprocessed.
class ReferenceImageEncoder : public Encoder {
 public:
  using Encoder::Encoder;
  /// `sink` is called for each image, in order.
  void run(const ReferenceImages& images, const Sink& sink, const ProgressCallback& progress = {});
};

}  // namespace tessera
