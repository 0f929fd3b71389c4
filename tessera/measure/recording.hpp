// SPDX-License-Identifier: Apache-2.0
// Golden vectors written: by this machine, or of what a reference wrote.
#pragma once

#include <string>
#include <vector>

#include "models/image/image.hpp"
#include "tessera/measure/golden_run.hpp"
#include "tessera/measure/golden_vectors.hpp"

namespace tessera {

struct RecordingOptions {
  Isa isa = Isa::baseline;
  Precision precision = Precision::f32;
  int threads = 0;  ///< 0: the default
  std::string made_by;
};

/// What is recorded where nobody says what: three texts of different lengths and scripts.
std::vector<GoldenText> default_texts();
/// ... and an image with edges, slopes and every byte in each channel, (96, 128, 3).
image::RgbImage default_image();

/// Computes every output of the texts and images and writes golden vectors to `path`, whole or not at all.
/// Returns the outputs that were left out because they have more than 2²⁴ numbers.
/// `images`: of one size once they are prepared. Errors: not_found (no tokenizer, no preprocessor);
/// invalid_argument: images that become different sizes; as compute_outputs(), write_safetensors().
std::vector<std::string> record(const VerifiedModel& model, const std::vector<GoldenText>& texts,
                                const std::vector<image::RgbImage>& images,
                                const RecordingOptions& options, const std::string& path);

/// Writes `vectors` to `path` with `texts`, where texts are cut, the route, and the checksums of the weights.
void record_again(const GoldenVectors& vectors, const VerifiedModel& model,
                  const std::vector<GoldenText>& texts, const std::string& path);

}  // namespace tessera
