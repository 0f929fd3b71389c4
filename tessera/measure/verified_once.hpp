// SPDX-License-Identifier: Apache-2.0
// What of golden vectors does not depend on the level: tokens, pixels, and the bytes of the weights.
#pragma once

#include <string>
#include <vector>

#include "models/image/preprocessor.hpp"
#include "tessera/measure/golden_vectors.hpp"

namespace tessera {

/// So many were compared, and what is wrong with one, each a line.
struct VerifiedOnce {
  std::size_t count = 0;  ///< 0: the file does not say
  std::vector<std::string> problems;
};

/// The texts of the file become the tokens and token types that it has, prompts left out, and are cut where
/// it says.
/// Errors: corrupt_file where they are not as many; as TextInputs::encode().
VerifiedOnce verified_texts(const models::Package& package, const GoldenVectors& vectors,
                            const ReferenceInput& input);

/// The images of the file become its pixel_values, to kPixelBound: both are an f32 made of the same byte.
inline constexpr double kPixelBound = 1e-5;
VerifiedOnce verified_images(const models::Package& package, const GoldenVectors& vectors,
                             const ReferenceImages& images);

/// The checkpoint has the tensors of the file, and the same bytes in each.
VerifiedOnce verified_weights(const GoldenVectors& vectors, const Checkpoint& checkpoint);

/// An image U8 (H,W,3) as the model reads it, (3, height, width).
std::vector<float> pixel_values(const image::Preprocessor& preprocessor,
                                const image::RgbImage& image);

}  // namespace tessera
